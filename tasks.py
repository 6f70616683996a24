"""The Invoke front door: six lines a verb. It parses nothing, calls lab, and never judges."""

from __future__ import annotations

try:
    from lab.cli import Session, verb
    from lab.options import BENCH, GUEST, KERNEL, MATRIX, PATCHES, PROBE, SUITE
except ImportError as error:
    raise SystemExit(f"{error}: run ./inv, which installs what the lab needs") from error

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.campaign.plan import Ask


@verb(default=True)
def overview(session: Session, ask: Ask) -> None:
    """What is here: series, kconfigs, guests, payloads, the last run, the next command."""
    from lab.campaign.overview import overview as look

    session.terminal.print_tables(look(session.lab))


@verb()
def doctor(session: Session, ask: Ask, install: bool = False) -> int:
    """Every tool, version, device and permission, and the accelerator that really works; --install fetches what is missing."""
    from lab.doctor import examine

    return examine(session.lab, session.terminal, install=install)


@verb(*PATCHES, host=True)
def fetch(session: Session, ask: Ask) -> None:
    """Obtain and verify the source tree."""
    from lab.campaign.change import fetch_verb

    fetch_verb(session.lab, ask)


@verb(*PATCHES, host=True)
def apply(session: Session, ask: Ask) -> None:
    """Apply a series; a conflict names patch, file, hunk, and the lines expected and found."""
    from lab.campaign.change import apply_verb

    apply_verb(session.lab, ask)


@verb(host=True)
def edit(session: Session, ask: Ask, series: str) -> None:
    """A git tree with the series applied, to develop it in; `export` writes the patches back."""
    from lab.campaign.change import edit_verb

    edit_verb(session.lab, series)


@verb(host=True)
def export(session: Session, ask: Ask, series: str) -> None:
    """Write the commits of the edit tree back to patches/, byte-stable."""
    from lab.campaign.change import export_verb

    export_verb(session.lab, series)


@verb(*KERNEL, host=True)
def build(session: Session, ask: Ask) -> None:
    """Build the kernel with the series applied; same inputs never build twice."""
    from lab.campaign.bench import build_verb
    from lab.campaign.dryrun import build_lines

    session.do(ask, build_verb, build_lines)


@verb("dry_run", host=True)
def image(session: Session, ask: Ask, name: str = "tiny") -> None:
    """Build a guest image."""
    session.lab.image(name)


@verb(*GUEST, host=True)
def boot(session: Session, ask: Ask, keep: bool = False, gdb: bool = False, host_root: bool = False) -> int | None:
    """Boot, verify the hardware, print the time to each milestone; --keep leaves the guest up, --host-root hands over to vng."""
    from lab.campaign.dryrun import boot_lines
    from lab.campaign.keep import boot_verb

    return session.do(ask, partial(boot_verb, rest=session.rest, keep=keep or gdb, gdb=gdb, host_root=host_root), boot_lines)


@verb()
def ssh(session: Session, ask: Ask, name: str = "") -> int:
    """A shell on a kept guest."""
    from lab.campaign.keep import ssh_verb

    return ssh_verb(name)


@verb()
def exec(session: Session, ask: Ask, name: str = "", push: str = "", pull: str = "") -> int:
    """`exec -- CMD`: words and exit status pass through unchanged; --push FILE,... goes before, --pull PATH,... comes after."""
    from lab.campaign.keep import exec_verb

    return exec_verb(name, session.rest, push, pull)


@verb()
def console(session: Session, ask: Ask, name: str = "") -> int:
    """The console of a kept guest; ctrl-] leaves."""
    from lab.campaign.keep import console_verb

    return console_verb(name)


@verb()
def gdb(session: Session, ask: Ask, name: str = "") -> int:
    """The gdb line of a kept guest."""
    from lab.campaign.keep import gdb_verb

    return gdb_verb(name)


@verb()
def ps(session: Session, ask: Ask) -> None:
    """Kept guests."""
    from lab.campaign.keep import ps_tables

    session.terminal.print_tables(ps_tables())


@verb()
def stop(session: Session, ask: Ask, name: str = "", all: bool = False) -> None:
    """Stop a kept guest, or --all."""
    from lab.campaign.keep import stop_verb

    stop_verb(name, everything=all)


@verb(*BENCH, host=True)
def bench(session: Session, ask: Ask) -> None:
    """Payloads on base and patched, judged."""
    from lab.campaign.dryrun import bench_lines
    from lab.campaign.explain import explained_bench

    session.do(ask, explained_bench, bench_lines)


@verb(*MATRIX, host=True)
def matrix(
    session: Session, ask: Ask, *, name: str = "", shard: str = "", emit: str = "", fresh: bool = False, per_patch: bool = False
) -> None:
    """Series x upto x kconfig x guest x payload of [matrix.NAME]; goes on where it was; --emit github|gitlab; --per-patch."""
    from lab.campaign.matrix import Words, matrix_lines, matrix_verb

    session.do(
        replace(ask, dry_run=ask.dry_run or emit != ""), matrix_verb, matrix_lines, Words(name, shard, emit, fresh, per_patch)
    )


@verb(*GUEST, "payload", "row", "strict", host=True)
def determinism(session: Session, ask: Ask, boots: str = "") -> None:
    """One kernel, --boots cold boots (10): which counted rows are the same in all, and for each wobble the functions it is in."""
    from lab.campaign.determinism import determinism_lines, determinism_verb

    session.do(ask, lambda lab, a: determinism_verb(lab, a, boots), determinism_lines)


@verb(*BENCH, host=True)
def compare(session: Session, ask: Ask, a: str, b: str) -> None:
    """Two runs, or two kernels (bzImage or O=DIR); refuses unlike environments."""
    from lab.campaign.again import compare_verb

    compare_verb(session.lab, ask, a, b)


@verb()
def report(session: Session, ask: Ask, run: str = "latest", cover: bool = False, explain: bool = False) -> int:
    """Render a run again; --cover prints Markdown for a cover letter, --explain every explained row by function and layer."""
    from lab.campaign.again import cover_of, rendered

    if cover:
        return session.say([cover_of(session.lab, run)])
    return session.show(*rendered(session.lab, run), explain=explain)


@verb()
def recheck(session: Session, ask: Ask, run: str = "latest") -> int:
    """Judge the logs of a run again, without booting."""
    from lab.campaign.again import recheck as check

    return session.show(*check(session.lab, run))


@verb("any", "strict", host=True)
def rerun(session: Session, ask: Ask, run: str = "latest") -> None:
    """Boot the builds of a run again."""
    from lab.campaign.again import rerun_verb

    rerun_verb(session.lab, ask, run)


@verb(*PROBE, "explain", host=True)
def bisect(
    session: Session,
    ask: Ask,
    *,
    good: str = "",
    bad: str = "",
    boots: str = "",
    confidence: str = "",
    fresh: bool = False,
    profile: bool = False,
) -> None:
    """The patch that breaks a build, a boot, a test or a row; --profile: what every patch costs; --fresh: from the beginning."""
    from lab.campaign.bisection import Words, bisect_lines, bisect_verb

    session.do(ask, bisect_verb, bisect_lines, Words(good, bad, boots, confidence, fresh, profile))


@verb(*PROBE, host=True)
def step(session: Session, ask: Ask, *, values: str = "") -> int | None:
    """One probe for `git bisect run`, with its exit codes: 0, 1, 125, 128 and up; --git PATH alone takes that tree's HEAD."""
    from lab.campaign.step import step_lines, step_verb

    session.decided = True
    return session.do(ask, partial(step_verb, values=values), step_lines)


@verb("series", "git", "range", "dirty", "kconfig", host=True)
def patchcheck(session: Session, ask: Ask, full: bool = False) -> int:
    """Form, checkpatch, each patch built without new warnings, sparse, self-tests, documentation, debug (--full: each patch)."""
    from lab.campaign.patchcheck import patchcheck_cases, patchcheck_tables, worst_code

    cases = patchcheck_cases(session.lab, ask, full=full)
    session.terminal.print_tables(patchcheck_tables(cases))
    return worst_code(cases)


@verb(*SUITE, "words", host=True)
def kselftest(session: Session, ask: Ask, target: str, timeout: str = "") -> None:
    """The tree's self-tests on base and patched: TARGET or TARGET:TEST, several by commas; `own`: those the series declares."""
    from lab.campaign.kselftest import kselftest_lines, kselftest_verb

    session.do(ask, kselftest_verb, kselftest_lines, target, timeout)


@verb(*SUITE, host=True)
def kunit(session: Session, ask: Ask, suite: str = "") -> None:
    """The tree's KUnit suites on base and patched, kconfig kunit by default; --suite takes a glob, SUITE or SUITE.CASE."""
    from lab.campaign.kunit import kunit_lines, kunit_verb

    session.do(ask, kunit_verb, kunit_lines, suite)


@verb()
def lint(session: Session, ask: Ask) -> int:
    """ruff, mypy --strict, import-linter."""
    from lab.campaign.upkeep import lint_verb

    return lint_verb(session.lab)


@verb(host=True)
def test(session: Session, ask: Ask, only: str = "", full: bool = False) -> int:
    """lint, unit, integration and end-to-end tests on real kernels; --only takes one of them, --full adds the long ones."""
    from lab.campaign.upkeep import test_verb

    return test_verb(session.lab, only, full=full)


@verb()
def clean(session: Session, ask: Ask, all: bool = False) -> None:
    """Prune the caches by age and size; --all empties them."""
    from lab.campaign.upkeep import clean_verb

    clean_verb(session.lab, everything=all)


@verb()
def du(session: Session, ask: Ask) -> None:
    """What the caches hold."""
    from lab.campaign.upkeep import du_tables

    session.terminal.print_tables(du_tables(session.lab))


@verb()
def cache(session: Session, ask: Ask, action: str, file: str, *, run: str = "latest", builds: str = "") -> None:
    """Carry Builds between machines: `cache export FILE` (of --run, or --builds KEY,...), `cache import FILE`."""
    from lab.campaign.upkeep import cache_verb

    cache_verb(session.lab, action, file, run, builds)


@verb(host=True)
def selfbench(session: Session, ask: Ask) -> None:
    """The lab's own speed: builds, boot to SSH, exec round trip, beside `vng --run`."""
    from lab.campaign.selfbench import selfbench_tables

    session.terminal.print_tables(selfbench_tables(session.lab))
