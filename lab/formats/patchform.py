"""The form of a patch: its message and what it adds to Kconfig; text in, complaints out.

Rules: Documentation/process/submitting-patches.rst, Documentation/kbuild/kconfig-language.rst.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.formats.patch import Mail, parse_mail

COLUMNS = 75
PREFIX = re.compile(r"^[\w./+ -]+(?:, ?[\w./+-]+)*: \S")
SIGNED = re.compile(r"^Signed-off-by: *(.*)$", re.MULTILINE)
AUTHOR = re.compile(r"^From: *(.*)$", re.MULTILINE)
TAG = re.compile(r"^[A-Z][A-Za-z-]+(?:-by|-to)?: ")
TRIED = re.compile(r"^\w+(?:ed|ing)$", re.IGNORECASE)
THIRD = re.compile(
    r"^(?:add|fix|fixe|remove|make|change|implement|introduce|allow|update|move|use|enable|disable|convert|drop|replace|rename"
    r"|return|support|provide|prevent|avoid|extend|create|let|set|split|switch|switche|describe|document|test|check)s$",
    re.IGNORECASE,
)
VERBS = re.compile(
    r"^(?:embed|need|feed|seed|speed|exceed|proceed|succeed|shed|wed|bleed|breed|heed|weed|(?:br|str|p|r|wr|sw|cl|fl|s|spr|sl)ing)$",
    re.IGNORECASE,
)
"""Verbs that end as others do in the past or the progressive."""
ENTRY = re.compile(r"^\+\s*(?:menu)?config (?P<name>\w+)\s*$")
KIND = re.compile(r"^\+\s+(?P<kind>bool|tristate|def_bool|def_tristate|int|hex|string)\b(?P<rest>.*)$")
DEFAULT = re.compile(r"^\+\s+default\s+(?P<value>.*)$")
OFF = ("n", "KUNIT_ALL_TESTS")
"""Defaults that leave an option off, unless every KUnit test is asked for (Documentation/dev-tools/kunit/style.rst)."""
HELP = re.compile(r"^\+\s+help\s*$")
ENDS = re.compile(r"^(?:@@|[ +-]\s*(?:config|menuconfig|menu|endmenu|choice|endchoice|if|endif|source|comment)\b)")


@dataclass(frozen=True)
class Complaint:
    """What is wrong: a type, by which a series may accept it, and the sentence."""

    kind: str
    text: str


def message_complaints(text: str, *, ours: bool) -> tuple[Complaint, ...]:
    """What is not in form about a patch's message; `ours`: a series that nobody has signed yet."""
    mail = parse_mail(text)
    return (*_subject(mail.title), *_body(mail), *_signatures(text, mail, ours=ours))


def _subject(title: str) -> Iterator[Complaint]:
    if len(title) > COLUMNS:
        yield Complaint("SUBJECT_LENGTH", f"the subject has {len(title)} columns, not {COLUMNS} at most")
    if not PREFIX.match(title):
        yield Complaint("SUBJECT_PREFIX", f"the subject does not begin with `subsystem: `: {title}")
    if title.endswith("."):
        yield Complaint("SUBJECT_FORM", "the subject ends with a full stop")
    first = title.rpartition(": ")[2].partition(" ")[0]
    if not VERBS.match(first) and (TRIED.match(first) or THIRD.match(first)):
        yield Complaint("SUBJECT_FORM", f"the subject is not in the imperative mood: `{first}`")


def _body(mail: Mail) -> Iterator[Complaint]:
    lines = [line for line in mail.message.splitlines() if not AUTHOR.match(line)]
    prose = [line for line in lines if line.strip() and not TAG.match(line)]
    if not prose:
        yield Complaint("NO_BODY", "there is no text that says why")
    # what is quoted (indented) or one long word (an address) cannot be broken
    long = [line for line in prose if len(line) > COLUMNS and not line.startswith((" ", "\t")) and " " in line.strip()[:COLUMNS]]
    if long:
        yield Complaint("BODY_LENGTH", f"{len(long)} lines of the text have more than {COLUMNS} columns: {long[0]}")


def _signatures(text: str, mail: Mail, *, ours: bool) -> Iterator[Complaint]:
    signed = SIGNED.findall(mail.message)
    authors = AUTHOR.findall(text.partition("\ndiff --git")[0])
    if signed and ours:
        yield Complaint("SIGNED", f"signed by {signed[0]}: only the person who posts it signs")
    elif signed and not {*signed} & {*authors}:
        yield Complaint("SIGNED", f"signed by {', '.join(signed)}, but the author is {authors[-1] if authors else 'unknown'}")


def kconfig_complaints(diff: str) -> tuple[Complaint, ...]:
    """New options that are on without being asked for: bool or tristate with a default other than n."""
    found: list[Complaint] = []
    path, name, entry = "", "", list[str]()
    for line in [*diff.splitlines(), "+++ b/end"]:
        match = ENTRY.match(line)
        if match or ENDS.match(line) or line.startswith(("+++ ", "diff --git ")):
            found += _default(name, entry) if name else ()
            name, entry = (match["name"], []) if match and "Kconfig" in path else ("", [])
        elif name:
            entry.append(line)
        if line.startswith("+++ "):
            path = line.removeprefix("+++ b/")
    return tuple(found)


def _default(name: str, entry: Sequence[str]) -> Iterator[Complaint]:
    entry = list(itertools.takewhile(lambda line: not HELP.match(line), entry))
    kinds = [match for line in entry if (match := KIND.match(line))]
    kind = kinds[0]["kind"] if kinds else ""
    if kind not in ("bool", "tristate", "def_bool", "def_tristate"):
        return
    values = [match["rest"].strip() for match in kinds if match["kind"].startswith("def_")]
    values += [match["value"].strip() for line in entry if (match := DEFAULT.match(line))]
    for value in values:
        if value.partition(" ")[0] not in OFF:
            yield Complaint("KCONFIG_DEFAULT", f"{name} is not off by default: default {value}")


def new_options(diff: str) -> tuple[str, ...]:
    """Options that the diff adds."""
    parts = [part for part in re.split(r"(?m)^\+\+\+ b/", diff)[1:] if "Kconfig" in part.partition("\n")[0]]
    return tuple(match["name"] for part in parts for line in part.splitlines() if (match := ENTRY.match(line)))
