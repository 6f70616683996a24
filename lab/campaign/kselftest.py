"""The verb kselftest: the tree's self-tests, each side's own, on its own kernel."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lab.campaign.dryrun import boot_lines, build_lines
from lab.campaign.plan import Ask, Side
from lab.campaign.rounds import Sided, borrowed_name, judged, payload_name, with_guest, with_log
from lab.campaign.session import Lab
from lab.campaign.settings import whole_number
from lab.errors import UsageError
from lab.events import Note
from lab.kernel.selftests import (
    ALL,
    RUNNER,
    Selftests,
    Want,
    arguments_variable,
    build_selftests,
    make_lines,
    parse_wants,
)
from lab.kernel.slot import slot_name
from lab.kernel.tree import apply
from lab.model.change import Build, Tree
from lab.model.matrix import OWN
from lab.model.run import PayloadSpec
from lab.model.suite import CaseRow
from lab.proc import quote

GUEST = "debian"
DEFAULT_TIMEOUT_S, ENDLESS_S = 45, 600
"""What tools/testing/selftests/kselftest/runner.sh gives a test, and what we give one that its target does not limit."""
EMULATED = 4
"""How many times longer than on hardware a test may take on an emulated CPU."""
SPARE_S = 120.0
"""To send the tests and to say what they said."""


def kselftest_verb(lab: Lab, ask: Ask, target: str, timeout: str = "") -> tuple[CaseRow, ...]:
    """The tree's self-tests, each side's own, on its own kernel; what passed on the baseline must pass on the patched side."""
    ask = with_guest(lab, ask, GUEST)
    limit = whole_number("--timeout", timeout) if timeout else 0
    base, patched = lab.sides(ask)
    wants = wanted(lab, ask, target)
    lab.announce(ask)
    baseline = lab.build(ask, base)
    kernels = ((base, baseline), (patched, lab.build(ask, patched, baseline)))
    built = [selftests_of(lab, ask, side, kernel, wants) for side, kernel in kernels]
    sides = sides_of(lab, ask, kernels, built, wants, name=payload_name(lab, "kselftest"), limit=limit)
    return judged(lab, ask, sides, f"kselftest {target}" + (f" --timeout {timeout}" if timeout else ""))


def sides_of(
    lab: Lab,
    ask: Ask,
    kernels: Sequence[tuple[Side, Build]],
    built: Sequence[Selftests],
    wants: Sequence[Want],
    *,
    name: str,
    limit: int = 0,
) -> list[Sided]:
    """What runs on each side; new tests on the baseline's kernel too. Raises UsageError for tests that neither tree has."""
    check_known(wants, built, lab.settings.selftests)
    for test, words in given_words(lab, ask, [test for one in built for test in one.tests]).items():
        lab.emit(
            Note(f"kselftest: {test} runs with {quote(words)}, from {'--words' if ask.words else '[selftests] of lab.toml'}")
        )
    sides = [
        Sided(side, kernel, replace(tests_payload(lab, ask, tests, side, limit), name=name), tests.tests)
        for (side, kernel), tests in zip(kernels, built, strict=True)
    ]
    for note in lacking(built[-1], kernels[-1][1].config, wants):
        lab.emit(Note(note))
    return [*sides, *borrowed(sides, built)]


def borrowed(sides: Sequence[Sided], built: Sequence[Selftests]) -> list[Sided]:
    """The tests that only the patched tree has, on the baseline's kernel: what they say without the series."""
    base, patched = sides
    known = {*built[0].tests, *built[0].unbuilt}
    new = tuple(test for test in patched.tests if test not in known)
    if not new:
        return []
    words = [word for word in patched.payload.command if word not in patched.tests]
    payload = replace(patched.payload, name=borrowed_name(patched.payload.name), command=(*words, *new), unbuilt={})
    return [replace(base, payload=payload, tests=new)]


def kselftest_lines(lab: Lab, ask: Ask, target: str, timeout: str = "") -> Iterator[str]:
    """What kselftest does, ready to paste."""
    ask = with_guest(lab, ask, GUEST)
    yield from build_lines(lab, ask)
    wants = wanted(lab, ask, target)
    cc = ask.cc or "gcc"
    for side in lab.sides(ask):
        vmlinux = lab.cache.root / "slots" / slot_name(side.kconfig.name, cc) / "tree" / "vmlinux"
        yield f"# the self-tests of {side.label}, after its kernel was built"
        yield make_lines(_tree(lab, ask, side), wants, cache=lab.cache, vmlinux=vmlinux, cc=cc)
    yield from boot_lines(lab, with_log(ask))
    yield "# in the guest, where the tests were installed:"
    yield quote(_runner_words(lab, ask, int(timeout or 0), [str(want) for want in wants]))


def wanted(lab: Lab, ask: Ask, target: str) -> tuple[Want, ...]:
    """TARGET[:TEST],... as wants; `own`: what the series declares. Raises UsageError."""
    if ask.kernel:
        raise UsageError("kselftest builds the tests of the kernel's tree, and --kernel has none", hint="--series or --git")
    words = target
    if target == OWN:
        series = lab.sides(ask)[1].series[-1]
        words = " ".join(series.selftests)
        if not words:
            raise UsageError(f"{series.name} declares no self-tests", hint=f"selftests = [...] in {series.directory}/series.toml")
    wants = parse_wants(words)
    if ask.words and [len(want.tests) for want in wants] != [1]:
        raise UsageError(f"--words is for a single test, and {target} may be several", hint="TARGET:TEST")
    if wants:
        return wants
    raise UsageError("kselftest wants TARGET or TARGET:TEST", hint="./inv kselftest net:reuseport_bpf,futex")


def check_known(wants: Sequence[Want], built: Sequence[Selftests], given: Collection[str] = ()) -> None:
    """Raise UsageError for a test or target that neither side's tree has; `given`: tests that lab.toml has words for."""
    known = {name for one in built for name in (*one.tests, *one.unbuilt)}
    whole = {want.target for want in wants if not want.tests}
    if lost := [name for name in given if name.partition(":")[0] in whole and name not in known]:
        raise UsageError(f"there is no self-test {', '.join(lost)} in either tree", hint="edit [selftests] in lab.toml")
    for want in wants:
        names = [f"{want.target}:{test}" for test in want.tests]
        missing = [name for name in names if not {name, f"{want.target}:{ALL}"} & known]
        if missing:
            hint = f"TEST_PROGS and TEST_GEN_PROGS of tools/testing/selftests/{want.target}/Makefile name them"
            raise UsageError(f"there is no self-test {', '.join(missing)} in either tree", hint=hint)
        if not any(name.startswith(f"{want.target}:") for name in known):
            hint = "a directory under tools/testing/selftests, for example net or net/af_unix"
            raise UsageError(f"there are no self-tests {want.target} in either tree", hint=hint)


def lacking(tests: Selftests, config: Path, wants: Sequence[Want]) -> Iterator[str]:
    """What the targets' `config` files ask for and the kernel does not have: why tests may skip or fail on both sides."""
    have = set(config.read_text(encoding="utf-8").splitlines())
    for want in wants:
        lost = [line for line in tests.options(want.target) if line not in have]
        if lost:
            shown = " ".join(lost[:6]) + (f" and {len(lost) - 6} more" if len(lost) > 6 else "")
            yield f"kselftest: the kernel lacks options that {want.target}/config asks for: {shown}; --set adds them"


def _tree(lab: Lab, ask: Ask, side: Side) -> Tree:
    return apply(lab.source(ask), side.series, side.upto, lab.cache, lab.emit)


def selftests_of(lab: Lab, ask: Ask, side: Side, kernel: Build, wants: Sequence[Want]) -> Selftests:
    """The tests of a side's tree, built; what does not build is said. Raises HostError."""
    made = build_selftests(_tree(lab, ask, side), wants, kernel, cache=lab.cache, emit=lab.emit, cc=ask.cc or "gcc")
    for test, why in made.unbuilt.items():
        lab.emit(Note(f"kselftest: {test} does not build on the {side.role} side: {why.splitlines()[0]}"))
    return made


def _factor(lab: Lab, ask: Ask, kconfig: str) -> int:
    emulated = EMULATED if lab.accel(ask).name == "tcg" else 1
    return round(emulated * lab.settings.budget.factor(kconfig))


def given_words(lab: Lab, ask: Ask, tests: Collection[str]) -> dict[str, tuple[str, ...]]:
    """TARGET:TEST -> the words that --words or lab.toml has for it, of the tests and targets that are named."""
    if ask.words:
        try:
            return dict.fromkeys(tests, tuple(shlex.split(ask.words)))
        except ValueError as error:
            raise UsageError(f"--words {ask.words!r}: {error}") from error
    return {test: words for test, words in lab.settings.selftests.items() if test in tests or test.partition(":")[0] in tests}


def _runner_words(lab: Lab, ask: Ask, limit: int, tests: Sequence[str]) -> tuple[str, ...]:
    kconfig = ask.kconfig or lab.settings.default.kconfig
    given = [f"{arguments_variable(test)}={quote(words)}" for test, words in given_words(lab, ask, tests).items()]
    runner = ("sh", f"./{RUNNER.name}", "/dev/kmsg", str(_factor(lab, ask, kconfig)), str(limit), *tests)
    return ("env", *given, *runner) if given else runner


def tests_payload(lab: Lab, ask: Ask, tests: Selftests, side: Side, limit: int) -> PayloadSpec:
    """Built tests as a payload; `limit`: seconds for each of them, 0 for what its target gives."""
    given = (
        limit or (known if (known := tests.timeout(name.partition(":")[0])) is not None else DEFAULT_TIMEOUT_S)
        for name in tests.tests
    )
    seconds = sum(each or ENDLESS_S for each in given) * (EMULATED if lab.accel(ask).name == "tcg" else 1)
    return PayloadSpec(
        name="kselftest",
        summary=f"self-tests of {side.label}",
        directory=tests.directory,
        hash=tests.key,
        command=_runner_words(lab, ask, limit, tests.tests),
        metrics=(),
        kind="kselftest",
        timeout_s=seconds + SPARE_S,
        instrument=False,
        unbuilt=tests.unbuilt,
    )
