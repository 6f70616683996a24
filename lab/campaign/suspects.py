"""The hypotheses of a search, what is left of each, and the kernel whose look splits them best. Pure.

Patch j is the first one with the subject, for each j, or none is. A look at the first k patches speaks for all j <= k or
against them; the next one halves what is left of the probability. With looks that cannot be by chance this is the binary search
everybody knows; with others it is the noisy one of Burnashev and Zigangirov (1974).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from lab.campaign.evidence import Ends, Looks, call, values
from lab.campaign.known import MISSES, Answer, Point, Probe, Search, hopeless
from lab.model.bisection import Culprit, Look, Reverted

LEAST_SPLIT = 1e-4
"""The least probability on either side of a look that is worth making."""
ONLY_ONE = 0.9
"""Prior of a series without the culprit being good."""


@dataclass(frozen=True)
class Round:
    """One search: the series without the patches that were found already."""

    search: Search
    without: tuple[int, ...]

    @cached_property
    def ends(self) -> Ends:
        """Good and bad end. How often a symptom comes is known from the kernels that have it, whatever was taken out since."""
        search, subject = self.search, self.search.subject
        assert subject is not None
        bad = search.at(Point(search.high, self.without if subject.is_row and not search.sampled else ()))
        if not subject.is_row:
            first = next((k for k in range(search.low, search.high) if self._shows(k)), search.high)
            between = (search.at(Point(k)) for k in range(first, search.high) if search.kernel(Point(k)).k == k)
            bad = (*(look for looks in between for look in looks), *bad)
        return Ends(subject, search.at(Point(search.low)), bad, search.metric)

    def _shows(self, k: int) -> bool:
        subject = self.search.subject
        return subject is not None and "bad" in [call(subject, look) for look in self.search.at(Point(k))]

    def step(self) -> Probe | Answer | int:
        """The next probe, the patch that is found, or why none is."""
        if impossible := self._impossible():
            return impossible
        posterior = self.posterior()
        masses = [(group, sum(posterior.get(j, 0.0) for j in group)) for group in self.groups()]
        group, mass = max(masses, key=lambda pair: pair[1])
        if mass >= self.search.confidence:
            return self._concluded(group)
        splits = {k: abs(_below(posterior, k) - 0.5) for k in self.points() if self._open(self.point(k))}
        best = min(splits, key=lambda k: (splits[k], k), default=0)
        if not best or splits[best] > 0.5 - LEAST_SPLIT:
            likely = sorted(posterior, key=lambda j: -posterior[j])
            return Answer("suspects", suspects=_credible(posterior, likely, self.search.confidence), why="no look tells more")
        return self.probe(best)

    def _impossible(self) -> Answer | None:
        """All points at a patch that changes nothing: what was seen came from elsewhere."""
        allowed = self.posterior()
        for j, mass in self.posterior(strict=False).items():
            if mass >= self.search.confidence and j not in allowed:
                why = f"all that was seen points at patch {j}, which changes nothing that runs: it comes from elsewhere"
                return Answer("unknown", suspects=(j,), why=why)
        return None

    def _open(self, point: Point) -> bool:
        """Whether another look may tell something."""
        return not hopeless(self.search, point) and not self._useless(self.search.at(point))

    def _concluded(self, group: tuple[int, ...]) -> Probe | Answer | int:
        if group == (0,):
            return Answer("nothing", why="it does not come again")
        if len(group) > 1:
            return Answer("suspects", suspects=group, why="; ".join(self._between(group)))
        return self._once_more(group[0]) or group[0]

    def _between(self, group: tuple[int, ...]) -> list[str]:
        """Why the kernels between suspects tell nothing."""
        found = []
        for k in group[:-1]:
            looks = self.search.at(self.point(k))
            found.append(f"the first {k} patches: {looks[-1].why or looks[-1].reached if looks else 'not looked at'}")
        return found

    def _once_more(self, found: int) -> Probe | None:
        """The kernels with and without the patch are booted twice at least, so that one odd boot names nobody."""
        subject = self.search.subject
        assert subject is not None
        if subject.kind in ("build", "sample"):
            return None
        for k in (found - 1, found):
            point = self.point(k)
            if sum(call(subject, look) in ("good", "bad") for look in self.search.at(point)) < 2 and self._open(point):
                return Probe((self.search.kernel(point),), 1)
        return None

    def without_it(self) -> Probe | tuple[Reverted, str] | None:
        """Look at the whole series without what was found; None: the subject is there all the same, the search goes on.

        Else what became of it, and the reason when that cannot be told.
        """
        search, point = self.search, self.point(self.search.high)
        looks, subject = search.at(point), self.ends.subject
        calls = [call(subject, look) for look in looks]
        if not {"good", "bad"} & {*calls}:
            return self.probe(search.high, search.ends) if self._open(point) else ("untold", looks[-1].why or looks[-1].reached)
        if subject.kind in ("exact", "count"):
            return None if self.ends.differ() else ("gone", "")
        there = self._chance(looks)
        if min(there, 1 - there) <= 1 - search.confidence:
            return None if there > 0.5 else ("gone", "")
        return self.probe(search.high) if self._open(point) else ("untold", f"{self._said(looks)} tell nothing for sure")

    def _chance(self, looks: Looks) -> float:
        """The probability that the subject is in a kernel of which nothing is known but these looks, and a prior."""
        odds = math.log(1 / ONLY_ONE - 1) + self.ends.weigh(looks)
        return 1 / (1 + math.exp(-odds))

    def culprit(self, k: int) -> Culprit:
        """The patch as far as the search knows it."""
        subject = self.ends.subject
        before, after = (self.search.at(self.point(one)) for one in (k - 1, k))
        told = (values(subject, before), values(subject, after)) if subject.is_row else ((), ())
        said = f"{self._said(before)} before it, {self._said(after)} with it"
        return Culprit(k, "", "", round(self.posterior()[k], 6), told[0], told[1], said)

    def _said(self, looks: Sequence[Look]) -> str:
        subject = self.ends.subject
        if subject.is_row:
            return ", ".join(f"{value:,.6g}" for value in dict.fromkeys(values(subject, looks)))
        calls = Counter(call(subject, look) for look in looks)
        return f"{calls['bad']} of {calls['bad'] + calls['good']} {'builds' if subject.kind == 'build' else 'boots'} bad"

    def probe(self, k: int, boots: int = 0) -> Probe:
        """The probe of the first k patches; a sampled row is taken beside the good end's."""
        points = (self.search.kernel(self.point(k)),)
        beside = (Point(self.search.low),) if self.search.sampled else ()
        return Probe((*points, *beside), boots or self.search.boots)

    def point(self, k: int) -> Point:
        """The kernel of the first k patches in this round."""
        return Point(k, self.without)

    def points(self) -> list[int]:
        """The first k of which a kernel of its own exists."""
        ks = range(self.search.low + 1, self.search.high + 1)
        return [k for k in ks if self.search.kernel(self.point(k)).k == k]

    def groups(self) -> list[tuple[int, ...]]:
        """Hypotheses that no look can tell apart, since the kernels between cannot be judged; (0,) is that of none."""
        groups: list[tuple[int, ...]] = [(0,)]
        group: tuple[int, ...] = ()
        for k in self.points():
            group = (*group, k)
            if not self._useless(self.search.at(self.point(k))) or k == self.points()[-1]:
                groups.append(group)
                group = ()
        return groups

    def _useless(self, looks: Sequence[Look]) -> bool:
        calls = [call(self.ends.subject, look) for look in looks]
        return not {"good", "bad"} & set(calls) and ("skip" in calls or calls.count("miss") >= MISSES)

    def posterior(self, *, strict: bool = True) -> dict[int, float]:
        """Of each hypothesis; 0 is none. `strict`: without patches before and after which the same runs."""
        logs = self._logs
        if strict:
            before = (self.search.low, *self.points())
            logs = {k: log for k, log in logs.items() if not (k and self._same(k, before[before.index(k) - 1]))}
        top = max(logs.values())
        total = sum(math.exp(value - top) for value in logs.values())
        return {j: math.exp(value - top) / total for j, value in logs.items()}

    @cached_property
    def _logs(self) -> dict[int, float]:
        """Logarithms of prior times likelihood: if patch j is the first, the kernels from j on have it."""
        ks = self.points()
        none = ONLY_ONE if self.without else 1 / (len(ks) + 1)
        logs, so_far = {0: math.log(none)}, 0.0
        for k in reversed(ks):
            so_far += self.ends.weigh(self.search.at(self.point(k)))
            logs[k] = math.log((1 - none) / len(ks)) + so_far
        return logs

    def _same(self, k: int, before: int) -> bool:
        """Whether what runs is the same with and without patch k."""
        runs = [{look.runs for look in self.search.at(self.point(one)) if look.runs} for one in (before, k)]
        return bool(runs[0] & runs[1])

    def named(self) -> dict[int, float]:
        """The posterior, with every patch in it."""
        posterior = self.posterior()
        return {j: round(posterior.get(j, 0.0), 6) for j in (0, *range(self.search.low + 1, self.search.high + 1))}


def _below(posterior: Mapping[int, float], k: int) -> float:
    """The probability that the first k patches have it."""
    return sum(mass for j, mass in posterior.items() if 0 < j <= k)


def _credible(posterior: Mapping[int, float], likely: Sequence[int], confidence: float) -> tuple[int, ...]:
    """The fewest hypotheses that hold the probability together."""
    kept: list[int] = []
    for j in likely:
        kept.append(j)
        if sum(posterior[one] for one in kept) >= confidence:
            break
    return tuple(sorted(j for j in kept if j))
