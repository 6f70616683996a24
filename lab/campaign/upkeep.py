"""The verbs about the lab itself: lint, test, clean, du, cache."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lab.cache import Entry, size_of
from lab.campaign.rundir import find_run
from lab.campaign.session import Lab, TableRows
from lab.errors import UsageError
from lab.events import Note
from lab.kernel.carry import export_builds, import_builds
from lab.proc import Argv, interactive

LINTERS: tuple[Argv, ...] = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports",),
)
SUITES = ("lint", "unit", "integration", "e2e")
SPREAD, WAITING = ("unit", "integration"), 2
"""Suites of which a CPU does so many tests at a time, since they wait a lot. Real guests would starve each other."""
SLOWEST = 10
DAY_S = 86400.0


def lint_verb(lab: Lab) -> int:
    """Every linter on the whole project; a missing one is red."""
    return max(_here(lab, argv) for argv in LINTERS)


def test_verb(lab: Lab, only: str, *, full: bool) -> int:
    """Run the suites in order, stop at the first red one; zero tests are red (pytest's exit status 5)."""
    if only and only not in SUITES:
        raise UsageError(f"--only takes one of {', '.join(SUITES)}, got {only!r}")
    for suite in (only,) if only else SUITES:
        lab.emit(Note(f"test: {suite}"))
        if suite == "lint":
            code = lint_verb(lab)
        else:
            mark = [] if full else ["-m", "not full"]
            spread = ["--numprocesses", f"{WAITING * len(os.sched_getaffinity(0))}"] if suite in SPREAD else []
            words: Argv = [*mark, *spread, f"--durations={SLOWEST}", lab.root / "tests" / suite]
            code = _here(lab, [sys.executable, "-m", "pytest", *words])
        if code != 0:
            lab.emit(Note(f"test: {suite} failed"))
            return 1 if code == 1 else 3
    return 0


def _here(lab: Lab, argv: Argv) -> int:
    lab.emit(Note("$ " + " ".join(str(word) for word in argv)))
    types = str(lab.cache.root / "mypy" / "types")  # what mypy found out holds for every clone
    return interactive(argv, cwd=lab.root, env={"MYPY_CACHE_DIR": types, **os.environ, "PYTHONSAFEPATH": "1"})


def clean_verb(lab: Lab, *, everything: bool) -> None:
    """Remove what is old or too much; with everything, whatever no running lab holds."""
    budget = lab.settings.budget
    age, size = (-1.0, 0) if everything else (budget.cache_days * DAY_S, int(budget.cache_gb * 1e9))
    gone = lab.cache.prune(older_than_s=age, keep_bytes=size)
    freed = sum(entry.bytes for entry in gone)
    if everything:
        freed += lab.cache.remove_slots()
    lab.emit(Note(f"removed {len(gone)} things, {freed / 1e9:.1f} GB; reports/ is yours to delete"))


def cache_verb(lab: Lab, action: str, file: str, run: str, builds: str) -> None:
    """Carry Builds: `export` those of a run, or named ones, into a tar; `import` puts them into this machine's cache."""
    path = Path(file).expanduser()
    if action == "import":
        new, had = import_builds(lab.cache, path)
        lab.emit(Note(f"{path}: {len(new)} Builds are new here, {len(had)} were there"))
    elif action == "export":
        named = builds.replace(",", " ").split()
        keys = named or sorted({one.key for one in find_run(lab.reports, run).read_results().builds if one.key})
        if not keys:
            raise UsageError(f"run {run} built nothing", hint="--builds KEY,... names them; ./inv build makes one")
        size = export_builds(lab.cache, keys, path)
        lab.emit(Note(f"{path}: {len(keys)} Builds, {size / 1e9:.2f} GB"))
    else:
        raise UsageError(f"cache takes export or import, got {action!r}", hint="./inv cache export builds.tar")


def du_tables(lab: Lab) -> tuple[TableRows, ...]:
    """What the cache holds, by kind, and every large thing in it."""
    entries = lab.cache.entries()
    kinds = sorted({entry.kind for entry in entries})
    rows = [_row(kind, [entry for entry in entries if entry.kind == kind]) for kind in kinds]
    slots: list[Path] = lab.cache.slots()
    rows += [(f"slot {path.name}", "1", _gb(size_of(path))) for path in slots]
    return ((f"cache {lab.cache.root}", ("what", "things", "size"), tuple(rows)),)


def _row(kind: str, entries: list[Entry]) -> tuple[str, ...]:
    return kind, str(len(entries)), _gb(sum(entry.bytes for entry in entries))


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
