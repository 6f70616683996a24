"""The self-tests that a series brings, on the kernel of every patch: which patch makes one pass, and which breaks one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from lab.campaign.bench import run_stage
from lab.campaign.kselftest import GUEST, check_known, selftests_of, tests_payload, wanted
from lab.campaign.plan import Ask, Side
from lab.campaign.rounds import payload_name, with_log
from lab.campaign.session import Lab
from lab.measure.regress import rows, unsettled
from lab.model.change import Build
from lab.model.matrix import OWN
from lab.model.outcome import Status
from lab.model.run import Job, JobResult
from lab.model.suite import CaseRow


def boots_with_tests(lab: Lab, ask: Ask, kernels: Sequence[tuple[Side, Build]], whole: Side) -> list[list[JobResult]]:
    """The boots of each kernel, in the order of the series, with the tests of the tree of `whole`; none if it declares none.

    The whole tree's, since most series bring their tests last: of an early kernel they tell what it cannot do yet. One boot of
    each; where neighbours differ a second one of both. Raises UsageError, HostError.
    """
    if not whole.series[-1].selftests:
        return [[] for _ in kernels]
    ask = replace(ask, guest=GUEST if GUEST in lab.settings.guest else ask.guest)
    wants = wanted(lab, ask, OWN)
    tests = selftests_of(lab, ask, whole, kernels[-1][1], wants)
    check_known(wants, [tests])
    payload = replace(tests_payload(lab, ask, tests, whole, 0), name=payload_name(lab, "kselftest"))
    bench = lab.bench(with_log(ask), payload)
    found: list[list[JobResult]] = [[] for _ in kernels]
    _round(lab, ask, found, {place: bench.job(*one, payload, 1) for place, one in enumerate(kernels)})
    again = {place for pair in pairwise(range(len(kernels))) if _open([found[place] for place in pair]) for place in pair}
    _round(lab, ask, found, {place: bench.job(*kernels[place], payload, 2) for place in sorted(again)})
    return found


def compared_tests(before: Sequence[JobResult], after: Sequence[JobResult], k: int) -> tuple[CaseRow, ...]:
    """Every test with patch `k` beside the same test without it."""
    return rows(before, after, f"k{k - 1:02d}", f"k{k:02d}") if before and after else ()


def _open(pair: Sequence[Sequence[JobResult]]) -> bool:
    """Whether neighbours differ; a guest that died would die again."""
    good = all(result.status is Status.PASS for results in pair for result in results)
    return good and bool(unsettled(compared_tests(pair[0], pair[1], 0)))


def _round(lab: Lab, ask: Ask, found: Sequence[list[JobResult]], jobs: dict[int, Job]) -> None:
    if not jobs:
        return
    places = {job.id: place for place, job in jobs.items()}
    for result in run_stage(lab, ask, [*jobs.values()], "kselftest", f"kselftest {OWN}"):
        found[places[result.id]].append(result)
