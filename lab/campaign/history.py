"""How long things took on this host: the basis of forecasts and progress bars, never of a verdict."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

FIRST_GUESS_S = {"fetch": 60.0, "build": 560.0, "image": 2.0, "rootfs": 150.0, "boot.job": 8.0, "bench.job": 15.0}
"""Before anything was seen: measured on two cores without KVM."""


@dataclass(frozen=True)
class History:
    """A small JSON file beside the cache: stage -> seconds of the last time."""

    path: Path

    def expected(self, stage: str) -> float:
        """Seconds that `stage` took last time, or a first guess, or 0 when nothing is known."""
        return self._read().get(stage, FIRST_GUESS_S.get(stage, 0.0))

    def learn(self, stage: str, seconds: float) -> None:
        """Remember; of two runs that write at once the last rename wins, which is good enough for a forecast."""
        table = {**self._read(), stage: round(seconds, 2)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        aside.write_text(json.dumps(table, indent=1, sort_keys=True), encoding="utf-8")
        aside.replace(self.path)

    def _read(self) -> dict[str, float]:
        try:
            table = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {name: float(seconds) for name, seconds in table.items()} if isinstance(table, dict) else {}
