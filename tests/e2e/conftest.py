from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.proc import bound

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Line:
    """What one ./inv line did: its exit code, everything it printed, and the results it left (None: no run)."""

    code: int
    text: str
    results: dict[str, Any]


def inv(*words: str, environment: Mapping[str, str] | None = None) -> Line:
    """Run ./inv with these words, as a user or a CI job does, until it ends or we do; `environment` instead of ours."""
    argv: list[str | Path] = [*bound(), ROOT / "inv", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=environment)
    text = done.stdout + done.stderr
    sys.stdout.write(f"$ ./inv {' '.join(words)}\n{text}\n")
    report = re.search(r"; report: (\S+)$", text, re.MULTILINE)
    return Line(done.returncode, text, json.loads((Path(report[1]) / "results.json").read_text()) if report else {})


@pytest.fixture(scope="session")
def default_run() -> Line:
    """`./inv build boot bench`, once."""
    return inv("build", "boot", "bench")
