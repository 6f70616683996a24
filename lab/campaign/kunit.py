"""The verb kunit: the tree's KUnit suites, which run while the kernel boots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lab.cache import digest
from lab.campaign.dryrun import boot_lines, build_lines
from lab.campaign.plan import Ask, Side
from lab.campaign.rounds import Sided, judged, payload_name, with_guest, with_log
from lab.campaign.session import Lab
from lab.errors import UsageError
from lab.model.run import PayloadSpec
from lab.model.suite import CaseRow

KCONFIG = "kunit"
GUEST = "plain"
"""Several CPUs, which some suites want, and no counting, which nobody here wants."""
ENABLE = "kunit.enable=1"
"""allnoconfig leaves KUnit disabled until it is asked for, so that other boots of such a kernel run no tests."""
RUNNER = """for results in /sys/kernel/debug/kunit/*/results; do
	suite=${results%/results}
	[ "$suite" = "/sys/kernel/debug/kunit/*" ] || { echo "## suite ${suite##*/}"; cat "$results"; }
done
echo "## done"
"""
"""Prints the second witness; lab/formats/kunit.py reads it."""


def kunit_verb(lab: Lab, ask: Ask, suite: str = "") -> tuple[CaseRow, ...]:
    """The tree's KUnit suites, which run at boot; what passed on the baseline must pass on the patched kernel."""
    if ask.kernel:
        raise UsageError("kunit compares two sides, and --kernel is one", hint="--series or --git")
    ask = with_guest(lab, with_suites(ask, suite), GUEST)
    base, patched = kunit_sides(lab, ask)
    lab.announce(ask)
    baseline = lab.build(ask, base)
    payload = kunit_payload(lab, payload_name(lab, "kunit"))
    kernels = ((base, baseline), (patched, lab.build(ask, patched, baseline)))
    sides = [Sided(side, kernel, payload) for side, kernel in kernels]
    return judged(lab, ask, sides, "kunit" + (f" --suite '{suite}'" if suite else ""))


def kunit_payload(lab: Lab, name: str) -> PayloadSpec:
    """What runs in a guest whose kernel ran its suites at boot: it prints them again."""
    return PayloadSpec(
        name=name,
        summary="KUnit suites",
        directory=lab.cache.get_or_make("payload", digest("kunit", RUNNER), _write_runner),
        hash=digest("kunit", RUNNER),
        command=("sh", "./run"),
        metrics=(),
        kind="kunit",
        options=("CONFIG_KUNIT=y", "CONFIG_KUNIT_DEBUGFS=y"),
        instrument=False,
    )


def kunit_lines(lab: Lab, ask: Ask, suite: str = "") -> Iterator[str]:
    """What kunit does, ready to paste."""
    ask = with_guest(lab, with_suites(ask, suite), GUEST)
    yield from build_lines(lab, ask)
    yield from boot_lines(lab, with_log(ask))


def with_suites(ask: Ask, suite: str) -> Ask:
    """The ask for a guest that runs the suites of the glob at boot."""
    words = f"{ask.append} {ENABLE}" + (f" kunit.filter_glob={suite}" if suite else "")
    return replace(ask, kconfig=ask.kconfig or KCONFIG, append=words.strip())


def kunit_sides(lab: Lab, ask: Ask) -> tuple[Side, Side]:
    """Baseline and patched, the latter with the suites the series adds."""
    base, patched = lab.sides(ask)
    series = patched.series[-1]
    if series.kunit:
        patched = replace(patched, kconfig=lab.kconfig(ask, (*series.options, *series.kunit)))
    return base, patched


def _write_runner(directory: Path) -> None:
    (directory / "run").write_text(RUNNER, encoding="utf-8")
