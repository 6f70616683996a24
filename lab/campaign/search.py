"""Which kernel to look at next, and when to stop: what was seen so far -> the next probe, or the answer. Pure.

A patch that was found is taken out of the series, and the search goes on in the rest: mostly the subject is gone then, which
confirms it; if not, there is another.
"""

from __future__ import annotations

from dataclasses import replace

from lab.campaign.evidence import Ends, call, values
from lab.campaign.known import Answer, Point, Probe, Search, hopeless, usable
from lab.campaign.suspects import Round
from lab.measure.verdict import needs_more_boots
from lab.model.bisection import Culprit, Look, Reverted

MORE_ENDS = 5
"""Boots of each end of an exact row that is not plain, as for a bench."""
MOST_CULPRITS = 3
"""After so many the rest is for `--profile`."""


def advance(search: Search) -> Probe | Answer:
    """The next probe, or the answer. Without a subject only the ends are looked at."""
    if probe := _look_at_ends(search):
        return probe
    if search.subject is None:
        return Answer("nothing", why="the ends do not differ in anything that was looked at")
    first = Round(search, ())
    return _ends_that_do_not_fit(search, first.ends) or _searched(search, first)


def _searched(search: Search, first: Round) -> Probe | Answer:
    found: tuple[Culprit, ...] = ()
    current = first
    while True:
        step = current.step()
        if isinstance(step, Probe):
            return step
        if isinstance(step, Answer):
            gone = bool(found) and step.word == "nothing"
            return _told(first, found, "gone") if gone else replace(step, culprits=found, posterior=first.named())
        found = (*found, current.culprit(step))
        current = Round(search, tuple(sorted(one.k for one in found)))
        done = current.without_it()
        if isinstance(done, Probe):
            return done
        if done is not None or len(found) == MOST_CULPRITS:
            return _told(first, found, *(done or ("remains",)))
        found = (*found[:-1], replace(found[-1], reverted="remains"))


def _told(first: Round, found: tuple[Culprit, ...], reverted: Reverted, reason: str = "") -> Answer:
    """The answer that names patches; the last one knows what became of the subject without all of them."""
    last = replace(found[-1], reverted=reverted, reason=reason)
    return Answer("found" if len(found) == 1 else "several", (*found[:-1], last), posterior=first.named())


def _look_at_ends(search: Search) -> Probe | None:
    """Both ends first, the bad one before; a second set for an exact row that two boots do not settle."""
    high, low = Point(search.high), Point(search.low)
    if search.sampled:
        points = (high, low)
        least = min(usable(search, point) for point in points)
        wanted = 2 * search.ends if least >= search.ends and Round(search, ()).ends.unsettled() else search.ends
        return Probe(points, wanted - least) if least < wanted and not any(hopeless(search, point) for point in points) else None
    for point in (high, low):
        missing = search.ends - usable(search, point)
        if missing > 0 and not hopeless(search, point):
            return Probe((point,), missing)
    if search.metric is not None and search.metric.kind == "exact" and search.subject is not None:
        sides = [values(search.subject, search.at(point)) for point in (low, high)]
        if needs_more_boots(search.metric, *sides):
            for point, side in zip((low, high), sides, strict=True):
                if len(side) < MORE_ENDS and not hopeless(search, point):
                    return Probe((point,), MORE_ENDS - len(side))
    return None


def _ends_that_do_not_fit(search: Search, ends: Ends) -> Answer | None:
    if ends.already():
        return Answer("already", why="the good end shows it, too")
    match ends.differ():
        case False:
            return Answer("nothing", why="the bad end does not differ from the good one in it")
        case None:
            return Answer("unknown", why=_why_not(search, ends))
    return None


def _why_not(search: Search, ends: Ends) -> str:
    for name, looks in (("bad", ends.bad), ("good", ends.good)):
        if all(call(ends.subject, look) in ("skip", "miss") for look in looks):
            return f"the {name} end cannot be judged: {looks[-1].why or looks[-1].reached if looks else 'no look at it'}"
    return "the ends cannot be judged"


def word(search: Search, look: Look) -> str:
    """What a look counts as; for a row, which end its value belongs to, and nothing before both ends have one."""
    if search.subject is None:
        return ""
    called = call(search.subject, look)
    if called != "good" or not search.subject.is_row:
        return called
    weight = Round(search, ()).ends.weigh(search.at(Point(look.k, look.without)))
    return "" if weight == 0 else "bad" if weight > 0 else "good"


def inert(search: Search) -> tuple[int, ...]:
    """Patches that change nothing that runs, as far as the kernels around them were built or none was needed."""
    runs = {k: {look.runs for look in search.at(Point(k)) if look.runs} for k in range(search.low, search.high + 1)}
    return tuple(k for k in range(search.low + 1, search.high + 1) if k in search.inert or runs[k] & runs[k - 1])
