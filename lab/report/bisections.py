"""What a bisection says: a sentence, a table of its looks, what is known of each patch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median_low

from lab.model.bisection import Bisection, Culprit, Look

Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
NEVER_SHOWN = 1e-6
LONGEST = 34


def sentence(found: Bisection) -> str:
    """The answer in one sentence."""
    what = str(found.subject) if found.subject else "a difference"
    if found.culprits:
        named = "; and ".join(_named(found, one) for one in found.culprits)
        more = f"; then only suspects: {', '.join(found.suspects)}" if found.suspects else ""
        return f"{what}: {named}{more}"
    if found.word == "suspects":
        return f"{what} comes with one of {', '.join(found.suspects)}: {found.why}"
    return f"{what}: no patch is named: {found.why}"


def _named(found: Bisection, one: Culprit) -> str:
    """`patch 4 of 6 (0004-x.patch) does it, 10,503 to 10,505 (+2); gone without it; confidence 0.999999`."""
    parts = [f"patch {one.k} of {len(found.patches)} ({one.patch}) does it"]
    if one.before and one.after:
        before, after = median_low(one.before), median_low(one.after)
        parts[0] += f", {_number(before)} to {_number(after)} ({after - before:+,.6g})"
    match one.reverted:
        case "gone":
            parts.append("gone from the whole series without it")
        case "remains":
            parts.append("not gone without it: there is another")
        case "untold":
            parts.append(f"what the series is without it cannot be told: {one.reason}")
    return "; ".join([*parts, f"confidence {one.confidence:.4f}"])


def tables(found: Bisection | None) -> list[Table]:
    """Every kernel that was looked at, in order, and the patches with what is left of their hypotheses."""
    if found is None:
        return []
    what = f", looking for {found.subject}" if found.subject else ""
    title = (
        f"bisection of {found.series}, patches {found.good + 1} to {found.bad}, kconfig {found.kconfig}{_payload(found)}{what}"
    )
    looks: list[tuple[str, ...]] = []
    for number in dict.fromkeys(look.probe for look in found.looks):
        for k, without in dict.fromkeys((look.k, look.without) for look in found.looks if look.probe == number):
            same = [look for look in found.looks if (look.probe, look.k, look.without) == (number, k, without)]
            looks.append((str(number), _kernel(found, k, without), _words(same), _showed(found, same)))
    yours: list[tuple[str, ...]] = [
        (str(k), name, _share(found, name), _about(found, name)) for k, name in enumerate(found.patches, 1)
    ]
    return [
        (title, (">look", "kernel", "counts as", "showed"), looks),
        ("", (">", "patch", ">probability", "remark"), yours[found.good : found.bad]),
    ]


def short(name: str, longest: int = LONGEST) -> str:
    """A patch file's name as far as it tells patches apart beside their number."""
    stem = re.sub(r"^\d{4}-|\.patch$", "", name)
    return stem if len(stem) <= longest else f"{stem[: longest - 2]}.."


def _payload(found: Bisection) -> str:
    return f", payload {found.payload} on guest {found.guest}" if found.payload else f", boots of guest {found.guest}"


def _kernel(found: Bisection, k: int, without: Sequence[int]) -> str:
    first = "the base" if k == 0 else f"the first {k}" if k < len(found.patches) else "the whole series"
    return first + (f" without {', '.join(map(str, without))}" if without else "")


def _words(looks: Sequence[Look]) -> str:
    return ", ".join(dict.fromkeys(look.word or look.reached for look in looks))


def _showed(found: Bisection, looks: Sequence[Look]) -> str:
    subject = found.subject
    if subject is not None and subject.is_row and any(subject.name in look.rows for look in looks):
        return ", ".join(_number(look.rows[subject.name]) for look in looks if subject.name in look.rows)
    said = [look.why or (look.symptoms and str(look.symptoms[0])) or ("booted" if look.job else "built") for look in looks]
    return "; ".join(dict.fromkeys(map(str, said)))


def _share(found: Bisection, name: str) -> str:
    share = found.posterior.get(name, 0.0)
    return "-" if share < NEVER_SHOWN else f"{share:.4f}"


def _about(found: Bisection, name: str) -> str:
    told = [f"culprit: {one.forward}" for one in found.culprits if one.patch == name]
    told += ["suspect"] if name in found.suspects else []
    return "; ".join([*told, *(["changes nothing that runs"] if name in found.inert else [])])


def _number(value: float) -> str:
    return f"{value:,.6g}" if value != int(value) else f"{int(value):,}"
