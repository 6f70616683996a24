"""A plan as a CI's own matrix: one job a shard, each with the key of the Builds it needs."""

from __future__ import annotations

import json
from collections.abc import Sequence

from lab.model.matrix import Plan

ARCHIVE = "builds.tar"
"""Where the examples keep Builds between runs; ./inv cache export writes it."""
MOST_GITHUB, MOST_GITLAB = 256, 200
"""How many jobs a matrix may have: documentation of GitHub (strategy.matrix) and GitLab (parallel:matrix)."""


def github_text(name: str, parts: Sequence[Plan]) -> str:
    """The value of `strategy.matrix` on one line, for fromJSON(). Raises ValueError: more jobs than GitHub takes."""
    return json.dumps({"include": _jobs(name, parts, MOST_GITHUB)})


def gitlab_text(name: str, parts: Sequence[Plan]) -> str:
    """A child pipeline, as JSON, which is YAML too. Raises ValueError: more jobs than GitLab takes."""
    jobs = [{key.upper(): str(value) for key, value in job.items()} for job in _jobs(name, parts, MOST_GITLAB)]
    job = {
        "image": "debian:13",
        "parallel": {"matrix": jobs},
        "cache": {"key": "kernel-lab-$KEY", "paths": [ARCHIVE]},
        "before_script": ["apt-get update -q", "apt-get install -y --no-install-recommends git python3 python3-venv"],
        "script": [
            f"if [ -f {ARCHIVE} ]; then ./inv cache import {ARCHIVE} || rm {ARCHIVE}; fi",
            './inv matrix --name "$MATRIX" --shard "$SHARD"',
        ],
        "after_script": [f"./inv cache export {ARCHIVE}"],
        "artifacts": {
            "when": "always",
            "paths": ["reports/*/summary.md", "reports/*/results.json"],
            "reports": {"junit": "reports/*/junit.xml"},
        },
    }
    return json.dumps({"matrix": job}, indent=2)


def _jobs(name: str, parts: Sequence[Plan], most: int) -> list[dict[str, str]]:
    if len(parts) > most:
        raise ValueError(f"{len(parts)} shards are more than the {most} jobs that a matrix may have there")
    count = len(parts)
    return [
        {"matrix": name, "shard": f"{number}/{count}", "label": _label(part), "key": part.key}
        for number, part in enumerate(parts, 1)
    ]


def _label(part: Plan) -> str:
    return ", ".join(dict.fromkeys(cell.patched.id for cell in part.cells))
