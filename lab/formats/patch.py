"""Patches in mail form, mailboxes and hunks: text in, value out.

Formats: git-format-patch(1), git-mailinfo(1), mbox as `git am` and b4 write it; hunks are read by the unidiff library.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_string
from email.header import decode_header, make_header
from email.message import Message

from unidiff.errors import UnidiffParseError
from unidiff.patch import Hunk as DiffHunk
from unidiff.patch import PatchedFile, PatchSet

MBOX_FROM = re.compile(r"^From \S+ +\w{3} \w{3} +\d{1,2} \d\d:\d\d:\d\d \d{4}", re.MULTILINE)
TAGS = re.compile(r"^\s*\[([^\]]*)\]\s*")
DIFF_START = re.compile(r"^(?:---\n|diff --git |--- \S|Index: )", re.MULTILINE)
FIRST_DIFF = re.compile(r"^(?:diff --git |--- \S)", re.MULTILINE)
SLACK = 8
"""Lines looked at around a hunk's own length, for what was added in its middle."""


class MalformedPatchError(ValueError):
    """The text is not a patch: a hunk is cut off or its counts are wrong."""


@dataclass(frozen=True)
class Mail:
    """A mail that may carry a patch."""

    title: str
    """The subject without its [PATCH ...] tags."""
    tags: str
    """What stood in the brackets, e.g. `RFC PATCH v2 3/7`; empty without."""
    revision: int
    """1 when the tags name none."""
    number: int | None
    total: int | None
    message: str
    diff: str
    reply: bool = False


@dataclass(frozen=True)
class Hunk:
    """One hunk: where it wants to go, the lines it expects there (context and removed) and the lines it leaves."""

    path: str
    """The file before the patch."""
    header: str
    start: int
    """1-based line of the first expected line."""
    old: tuple[str, ...]
    new: tuple[str, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]


@dataclass(frozen=True)
class Mismatch:
    """A hunk that has no place in a file: the differing runs of lines and where the nearest place is."""

    hunk: Hunk
    line: int
    """1-based line of the file nearest to what the hunk expects."""
    expected: tuple[str, ...]
    """Lines the hunk wants and the file does not have there."""
    found: tuple[str, ...]
    """Lines the file has in their place."""


def split_mbox(text: str) -> list[str]:
    """The mails of a mailbox, each beginning with its `From ` line."""
    starts = [match.start() for match in MBOX_FROM.finditer(text)]
    return [text[begin:end] for begin, end in itertools.pairwise([*starts, len(text)])]


def parse_mail(text: str) -> Mail:
    """One mail with what its subject says of its place in a series."""
    mail = message_from_string(text)
    subject = re.sub(r"\s*\n\s*", " ", str(make_header(decode_header(mail.get("Subject", "")))))
    tags, title = [], subject
    while match := TAGS.match(title):
        tags.append(match[1])
        title = title[match.end() :]
    words = " ".join(tags)
    place = re.search(r"(?:^|\s)(\d+)/(\d+)(?:\s|$)", words)
    revision = re.search(r"(?:^|\s|PATCH)[vV](\d+)(?:\s|$)", words)
    body = _body(mail)
    start = DIFF_START.search(body)
    first = FIRST_DIFF.search(body)
    return Mail(
        title=title.strip(),
        tags=words,
        revision=int(revision[1]) if revision else 1,
        number=int(place[1]) if place else None,
        total=int(place[2]) if place else None,
        message=body[: start.start()] if start else body,
        diff=body[first.start() :] if first else "",
        reply=bool(re.match(r"(?i)re:", subject)),
    )


def _body(mail: Message) -> str:
    for part in mail.walk():
        if part.is_multipart():
            continue
        if part.get("Content-Transfer-Encoding", "").lower() in ("quoted-printable", "base64"):
            raw = part.get_payload(decode=True)
            return raw.decode("utf-8", "surrogateescape").replace("\r\n", "\n") if isinstance(raw, bytes) else ""
        return str(part.get_payload())
    return ""


def as_mail(name: str, text: str) -> str:
    """A bare diff with a free-form heading (quilt) in mail form, as `git quiltimport` would make it; a mail stays as it is."""
    if re.match(r"(From |From: |Subject: |Date: |Message-I[dD]: )", text):
        return text
    start = DIFF_START.search(text)
    heading = text[: start.start()].strip() if start else ""
    title, _, rest = heading.partition("\n")
    title = title.removeprefix("Subject:").removeprefix("Description:").strip() or name
    diff = text[start.start() :] if start else text
    return (
        f"From: nobody <nobody@localhost>\nDate: Wed, 1 Jan 2020 00:00:00 +0000\nSubject: {title}\n\n{rest.strip()}\n---\n{diff}"
    )


def files_of(diff: str) -> tuple[str, ...]:
    """The files a diff touches, both names of a renamed one. Raises MalformedPatchError."""
    names: dict[str, None] = {}
    for file in _parsed(diff):
        for name in (_plain(file.source_file), _plain(file.target_file)):
            if name:
                names[name] = None
    return tuple(names)


def hunks_of(diff: str) -> list[Hunk]:
    """Every hunk in order. Raises MalformedPatchError."""
    return [hunk for file in _parsed(diff) for hunk in _hunks(file)]


def _parsed(diff: str) -> PatchSet:
    try:
        return PatchSet(diff)
    except UnidiffParseError as error:
        raise MalformedPatchError(str(error)) from error


def _hunks(file: PatchedFile) -> list[Hunk]:
    path = _plain(file.source_file) or _plain(file.target_file)
    return [_hunk(path, hunk) for hunk in file]


def _hunk(path: str, hunk: DiffHunk) -> Hunk:
    lines = [(line.line_type, line.value.rstrip("\n")) for line in hunk]
    places = f"@@ -{hunk.source_start},{hunk.source_length} +{hunk.target_start},{hunk.target_length} @@"
    return Hunk(
        path=path,
        header=f"{places} {hunk.section_header}".rstrip(),
        start=hunk.source_start,
        old=tuple(text for kind, text in lines if kind in " -"),
        new=tuple(text for kind, text in lines if kind in " +"),
        removed=tuple(text for kind, text in lines if kind == "-"),
        added=tuple(text for kind, text in lines if kind == "+"),
    )


def _plain(name: str) -> str:
    """A file name without a/ or b/ and quotes; empty for /dev/null."""
    name = name.strip('"')
    return "" if name == "/dev/null" else re.sub(r"^[ab]/", "", name)


def mismatch(hunk: Hunk, lines: Sequence[str]) -> Mismatch | None:
    """Why a hunk does not fit into a file of these lines, or None when it does (at any offset, as git allows)."""
    wanted = list(hunk.old)
    if any(lines[at : at + len(wanted)] == wanted for at, line in enumerate(lines) if line == wanted[0]) if wanted else not lines:
        return None
    begin = max(_nearest(hunk, lines) - SLACK, 0)
    there = lines[begin : begin + len(wanted) + 2 * SLACK]
    codes = difflib.SequenceMatcher(None, wanted, there, autojunk=False).get_opcodes()
    # an insertion before the first or after the last expected line is only the slack
    changes = [code for code in codes if code[0] != "equal" and not (code[0] == "insert" and code[1] in (0, len(wanted)))]
    expected = [line for _, first, last, _, _ in changes for line in wanted[first:last]]
    found = [line for _, _, _, first, last in changes for line in there[first:last]]
    return Mismatch(hunk, begin + (changes[0][3] if changes else 0) + 1, tuple(expected), tuple(found))


def _nearest(hunk: Hunk, lines: Sequence[str]) -> int:
    """The 0-based place where most of the expected lines are, the one closest to the wanted place among equals."""
    votes: Counter[int] = Counter()
    where: dict[str, list[int]] = {}
    for at, line in enumerate(lines):
        if len(line.strip()) > 1:  # braces and blank lines are everywhere
            where.setdefault(line, []).append(at)
    for offset, line in enumerate(hunk.old):
        votes.update(at - offset for at in where.get(line, ()))
    wanted = min(max(hunk.start - 1, 0), max(len(lines) - 1, 0))
    best = max(votes, key=lambda at: (votes[at], -abs(at - wanted)), default=wanted)
    return max(best, 0)
