"""What is looked for when it was not said: a symptom that only the bad end has, else the row that differs most. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median_low

from lab.campaign.evidence import Looks, values
from lab.campaign.known import Point, Search
from lab.measure.verdict import judge
from lab.model.bisection import Subject
from lab.model.judgement import APART, Metric


def with_subject(search: Search, metrics: Sequence[Metric], words: str = "") -> Search:
    """The search with the subject that its looks at the ends show; unchanged while that cannot be said.

    `words`: a part of the symptom's name. A build that fails is known from the bad end alone, and needs no boots.
    """
    if search.subject is not None:
        return search
    bad, good = search.at(Point(search.high)), search.at(Point(search.low))
    broken = next((symptom for look in bad for symptom in look.symptoms if symptom.kind == "build"), None)
    if broken is not None and words in str(broken):
        return replace(search, subject=broken, ends=1)
    if not good:
        return search
    symptoms = [symptom for look in bad for symptom in look.symptoms if words in str(symptom)]
    old = {symptom for look in good for symptom in look.symptoms}
    new = [symptom for symptom in symptoms if symptom not in old]
    if new or symptoms:
        return replace(search, subject=(new or symptoms)[0])
    metric = None if words else _most(metrics, good, bad)
    return replace(search, subject=_row(metric), metric=metric) if metric else search


def of_row(metric: Metric) -> Subject:
    """A row as subject. Raises ValueError: a row of its kind never differs for good."""
    if (subject := _row(metric)) is None:
        raise ValueError(metric.name)
    return subject


def _row(metric: Metric) -> Subject | None:
    return None if metric.kind == "info" else Subject(metric.kind, metric.name)


def _most(metrics: Sequence[Metric], good: Looks, bad: Looks) -> Metric | None:
    """The row whose ends are furthest apart, the material ones first; sampled ones have to be named."""
    found = []
    for metric in metrics:
        subject = _row(metric)
        if subject is None or subject.kind == "sample":
            continue
        sides = values(subject, good), values(subject, bad)
        verdict, delta, material, _ = judge(metric, *sides)
        if verdict in APART:
            base = median_low(sides[0])
            found.append((material, abs(delta / base) if base else math.inf, metric))
    return max(found, key=lambda one: one[:2])[2] if found else None
