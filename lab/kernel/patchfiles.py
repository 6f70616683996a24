"""Patch files of any origin (git format-patch, quilt, mailboxes of b4) as the patches of a series, checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lab.errors import UsageError
from lab.formats.patch import Mail, MalformedPatchError, as_mail, files_of, parse_mail, split_mbox
from lab.model.change import Patch

NUMBERED = re.compile(r"^(?:v(\d+)-)?(\d{4,})-.*\.patch$")
MAILBOXES = (".mbx", ".mbox")
QUILT = "series"


def from_numbered(directory: Path) -> tuple[Patch, ...]:
    """Patches named as `git format-patch` names them, 0000 being the cover letter. Raises UsageError."""
    files = sorted(path for path in directory.iterdir() if path.suffix == ".patch")
    if not files:
        raise UsageError(
            f"{directory} holds no patches",
            hint="git format-patch -o DIR BASE..TIP fills it; quilt and b4 mailboxes are read too",
        )
    matches = {path: NUMBERED.match(path.name) for path in files}
    if odd := [path.name for path, match in matches.items() if match is None]:
        raise UsageError(
            f"{directory}: {odd[0]} has no number", hint="name patches as `git format-patch` does, or add a quilt `series` file"
        )
    numbers = {path: int(match[2]) for path, match in matches.items() if match}
    versions = {match[1] for match in matches.values() if match}
    if len(versions) > 1:
        raise UsageError(f"{directory} mixes revisions: {', '.join(sorted(f'v{one or 1}' for one in versions))}", hint="keep one")
    mails = [(path.name, read_text(path)) for path in sorted(files, key=lambda path: numbers[path]) if numbers[path] != 0]
    _check_numbers(directory, sorted(number for number in numbers.values() if number))
    return patches_of(str(directory), mails)


def _check_numbers(directory: Path, numbers: list[int]) -> None:
    if not numbers:
        raise UsageError(f"{directory} holds a cover letter and no patches")
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    missing = sorted(set(range(1, numbers[-1] + 1)) - set(numbers))
    if twice or missing:
        wrong = [f"{number:04d} is there more than once" for number in twice] + [f"{number:04d} is missing" for number in missing]
        raise UsageError(f"{directory}: {'; '.join(wrong)}", hint="number the patches 0001, 0002, ... without gaps")


def from_quilt(directory: Path) -> tuple[Patch, ...]:
    """The patches that a quilt `series` file names, in its order. Raises UsageError."""
    mails = []
    for line in (directory / QUILT).read_text(encoding="utf-8").splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[1:] not in ([], ["-p1"]):
            raise UsageError(f"{directory / QUILT}: {line.strip()}: only -p1 patches are read", hint="quilt refresh -p ab")
        path = directory / words[0]
        if not path.is_file():
            raise UsageError(f"{directory / QUILT} names {words[0]}, which is not there")
        mails.append((words[0], as_mail(words[0], read_text(path))))
    if not mails:
        raise UsageError(f"{directory / QUILT} names no patches")
    return patches_of(str(directory), mails, numbered=False)


def from_mbox(path: Path) -> tuple[Patch, ...]:
    """The mails of a mailbox that carry patches, in the order of their numbers. Raises UsageError."""
    text = read_text(path)
    mails = [(parse_mail(one), one) for one in (split_mbox(text) or [text])]
    kept = [(mail, one) for mail, one in mails if mail.diff and mail.number != 0 and not mail.reply]
    if not kept:
        raise UsageError(f"{path} holds no patches", hint="`b4 am` writes such mailboxes, `b4 mbox` and mail programs too")
    kept.sort(key=lambda pair: pair[0].number or 0)
    return patches_of(str(path), [(f"{path.name}#{place}", one) for place, (_, one) in enumerate(kept, 1)])


def patches_of(origin: str, mails: Sequence[tuple[str, str]], *, numbered: bool = True) -> tuple[Patch, ...]:
    """Named mails as patches; `numbered`: revision and place in their subjects must fit. Raises UsageError."""
    parsed = [(name, text, parse_mail(text)) for name, text in mails]
    if not numbered:
        return tuple(_patch(origin, name, text, mail) for name, text, mail in parsed)
    revisions = sorted({mail.revision for _, _, mail in parsed})
    if len(revisions) > 1:
        raise UsageError(
            f"{origin} mixes revisions of a series: {', '.join(f'v{one}' for one in revisions)}",
            hint="keep the patches of one revision",
        )
    _check_places(origin, [(name, mail) for name, _, mail in parsed])
    return tuple(_patch(origin, name, text, mail) for name, text, mail in parsed)


def _check_places(origin: str, mails: Sequence[tuple[str, Mail]]) -> None:
    """The n/m of the subjects must agree with the files: that is how a missing last patch is seen."""
    for place, (name, mail) in enumerate(mails, 1):
        if mail.number is not None and (mail.number != place or mail.total != len(mails)):
            raise UsageError(
                f"{origin}: {name} says it is patch {mail.number}/{mail.total}, but it is {place} of {len(mails)} here",
                hint="a patch is missing, doubled or out of place; `git format-patch` numbers them anew",
            )


def _patch(origin: str, name: str, text: str, mail: Mail) -> Patch:
    try:
        files = files_of(mail.diff)
    except MalformedPatchError as error:
        raise UsageError(
            f"{origin}: {name} is not a whole patch: {error}",
            hint="it was cut off or edited by hand; make it again with git format-patch",
        ) from error
    if not files:
        raise UsageError(f"{origin}: {name} changes no file", hint="number a cover letter 0000; take empty patches out")
    return Patch(name, mail.title, text, files)


def read_text(path: Path) -> str:
    """A patch file as text that turns back into the same bytes; CRLF mails as git mailsplit reads them."""
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    return text.replace("\r\n", "\n") if text.partition("\n")[0].endswith("\r") else text
