"""What looks are worth: log-likelihood ratios for "the subject is in this kernel" against "it is not". Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median_low
from typing import Literal

from lab.measure.verdict import judge
from lab.model.bisection import Look, Subject
from lab.model.judgement import APART, Metric

CERTAIN = math.log(1e6)
"""What a look is worth that cannot be by chance: a build, a value of an exact row."""
FALSE = 1e-3
"""How often a boot may show the subject's fingerprint without the subject."""
FLAKY = 0.1
"""Prior share of failures that do not come in every boot."""

STRONG = 6.0
"""Twice the log of a Bayes factor from which on evidence is strong (Kass and Raftery): 20 to 1."""


Call = Literal["bad", "good", "skip", "miss"]
Looks = Sequence[Look]


def call(subject: Subject, look: Look) -> Call:
    """What a look says of a symptom: another failure than the one that is looked for tells nothing.

    For a row `good` only says that there is a value.
    """
    if look.reached == "missed":
        return "miss"
    if subject in look.symptoms:
        return "bad"
    return "good" if _free_of(subject, look) else "skip"


def _free_of(subject: Subject, look: Look) -> bool:
    """Whether the subject would have been seen in a look that came so far."""
    if look.reached in ("unapplied", "unbuilt"):
        return False
    if subject.kind == "build":
        return True
    if subject.kind == "case":
        return subject.name in look.passed
    return subject.name in look.rows if subject.is_row else look.reached == "done"


def values(subject: Subject, looks: Looks) -> tuple[float, ...]:
    """The row's values, in the order of the looks."""
    return tuple(look.rows[subject.name] for look in looks if call(subject, look) == "good")


@dataclass(frozen=True)
class Ends:
    """What the good and the bad end showed: that is what every other look is held against."""

    subject: Subject
    good: tuple[Look, ...]
    bad: tuple[Look, ...]
    metric: Metric | None = None
    """Of a row."""

    def differ(self) -> bool | None:
        """Whether the bad end has what the good one has not; None: one of them cannot be judged."""
        if any(not self._told(looks) for looks in (self.good, self.bad)):
            return None
        if not self.subject.is_row:
            return "bad" in [call(self.subject, look) for look in self.bad]
        if self.subject.kind == "sample":
            return self._sampled().ends() > STRONG
        assert self.metric is not None
        return judge(self.metric, values(self.subject, self.good), values(self.subject, self.bad))[0] in APART

    def unsettled(self) -> bool:
        """Whether a sampled row's ends lean to a difference, and more boots may show it."""
        return self.subject.kind == "sample" and 0 < self._sampled().ends() <= STRONG

    def already(self) -> bool:
        """Whether the good end shows the symptom."""
        return not self.subject.is_row and "bad" in [call(self.subject, look) for look in self.good]

    def weigh(self, looks: Looks) -> float:
        """The log-likelihood ratio of the looks at one kernel; 0: they tell nothing."""
        told = [look for look in looks if self._told((look,))]
        if not told or (self.subject.is_row and not (self._told(self.good) and self._told(self.bad))):
            return 0.0
        if self.subject.kind == "build":
            return sum(CERTAIN if call(self.subject, look) == "bad" else -CERTAIN for look in told)
        if self.subject.kind == "sample":
            return self._sampled().weigh(told)
        if self.subject.is_row:
            return sum(self._nearer(value) for value in values(self.subject, told))
        return self._symptom(told)

    def _told(self, looks: Looks) -> bool:
        return any(call(self.subject, look) in ("bad", "good") for look in looks)

    def _nearer(self, value: float) -> float:
        """The end that a value is nearer to: of several patches that add to the difference, one crosses its half."""
        good, bad = (median_low(values(self.subject, looks)) for looks in (self.good, self.bad))
        near_good, near_bad = abs(value - good), abs(value - bad)
        return -CERTAIN if near_good < near_bad else CERTAIN

    def _symptom(self, looks: Looks) -> float:
        """A failure comes in every boot, or (rarely, and after what the bad end's boots say) in an unknown share of them."""
        seen_bad, seen_good = self._counts(self.bad)
        bad, good = self._counts(looks)
        if seen_bad == 0:
            return 0.0
        flaky = 1.0 if seen_good else (FLAKY / (seen_bad + 1)) / (1 - FLAKY + FLAKY / (seen_bad + 1))
        partly = math.exp(_beta(seen_bad + bad + 1, seen_good + good + 1) - _beta(seen_bad + 1, seen_good + 1))
        with_it = (1 - flaky) * (good == 0) + flaky * partly
        without = bad * math.log(FALSE) + good * math.log1p(-FALSE)
        return max(-CERTAIN, min(CERTAIN, math.log(with_it) - without))

    def _counts(self, looks: Looks) -> tuple[int, int]:
        calls = [call(self.subject, look) for look in looks]
        return calls.count("bad"), calls.count("good")

    def _sampled(self) -> _Sampled:
        return _Sampled(self.subject, self.good, self.bad)


@dataclass(frozen=True)
class _Sampled:
    """Boots of a kernel against boots of the good end among which they were mixed, in logarithms."""

    subject: Subject
    good: Looks
    bad: Looks

    def ends(self) -> float:
        """Twice the log of the Bayes factor for a difference, by BIC (Kass and Raftery, JASA 90, 1995)."""
        off, error = self._off(self.bad)
        boots = self._freedom() + 2
        if not math.isfinite(error) or boots <= 2:
            return -math.inf
        t = off / (self._deviation() * math.sqrt(error))
        return boots * math.log1p(t * t / (boots - 2)) - math.log(boots)

    def weigh(self, looks: Looks) -> float:
        """Student's t around the difference of the ends, against the same around 0."""
        (effect, unsure), (off, error) = self._off(self.bad), self._off(looks)
        if not math.isfinite(error):
            return 0.0
        if looks == self.bad:
            unsure = 0.0
        sd, freedom = self._deviation(), self._freedom()
        found = _student((off - effect) / sd, error + unsure, freedom) - _student(off / sd, error, freedom)
        return max(-CERTAIN, min(CERTAIN, found))

    def _off(self, looks: Looks) -> tuple[float, float]:
        """Mean difference to the good end's boots of the same probes, and its variance in units of a boot's."""
        offs, shares = 0.0, 0.0
        for probe in {look.probe for look in looks}:
            own, beside = self._logs(looks, probe), self._logs(self.good, probe)
            if own and beside:
                share = 1 / (1 / len(own) + 1 / len(beside))
                offs, shares = offs + share * (fmean(own) - fmean(beside)), shares + share
        return (offs / shares, 1 / shares) if shares else (0.0, math.inf)

    def _freedom(self) -> int:
        return max(1, sum(len(side) - 1 for side in self._sides()))

    def _deviation(self) -> float:
        """Of one boot, pooled over the ends; never 0, or equal boots would be proof of anything."""
        squares = sum((value - fmean(side)) ** 2 for side in self._sides() for value in side)
        return max(math.sqrt(squares / self._freedom()), 1e-6)

    def _sides(self) -> list[list[float]]:
        """The boots of each end, probe by probe."""
        pairs = [(looks, probe) for looks in (self.good, self.bad) for probe in {look.probe for look in looks}]
        return [logs for looks, probe in pairs if (logs := self._logs(looks, probe))]

    def _logs(self, looks: Looks, probe: int) -> list[float]:
        found = values(self.subject, [look for look in looks if look.probe == probe])
        return [math.log(value) for value in found if value > 0]


def _student(off: float, variance: float, freedom: int) -> float:
    """Log density of Student's t at `off`, scaled by the root of `variance`, up to a constant."""
    return -0.5 * math.log(variance) - (freedom + 1) / 2 * math.log1p(off * off / variance / freedom)


def _beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
