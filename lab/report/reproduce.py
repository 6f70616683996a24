"""What a failed job leaves for a person: a shell script that shows the failure again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from lab.model.run import JobResult
from lab.report import words

SCRIPT = """\
#!/bin/sh
{about}
#
#   sh repro.sh         the lab does it again: apply, build, boot, run
#   sh repro.sh qemu    only QEMU, with the words of the failed boot
#   sh repro.sh show    print both, to paste
set -eu

lab() {{
	cd -- "$(dirname -- "$0")"
	while [ ! -x inv ] && [ "$PWD" != / ]; do cd ..; done # the checkout
	{command}
}}

qemu() {{
	{qemu}
}}

case ${{1:-lab}} in
lab | qemu) "${{1:-lab}}" ;;
show) sed -n '/^[lq].*() {{$/,/^}}$/p' "$0" ;;
*) echo "usage: sh $0 [lab|qemu|show]" >&2 && exit 2 ;;
esac
"""


def repro_text(result: JobResult, command: str, qemu_argv: Sequence[str]) -> str:
    """A POSIX shell script: comments that say what failed, the lab's own `command` line, and QEMU's (empty: it never started)."""
    lines = [f"{result.id}: {result.status}", *result.message.splitlines()]
    for finding in result.findings:
        lines += words.finding_lines(finding)
    about = "\n".join(f"# {words.printable(line)}".rstrip() for line in lines)
    qemu = _wrapped(qemu_argv) if qemu_argv else "echo 'QEMU was never started for this job' >&2; exit 3"
    return SCRIPT.format(about=about, command=command, qemu=qemu)


def _wrapped(argv: Sequence[str]) -> str:
    """One option with its value per line, as people write QEMU's command line."""
    lines: list[list[str]] = []
    for word in argv:
        if word.startswith("-") or not lines:
            lines.append([])
        lines[-1].append(word)
    return " \\\n\t\t".join(shlex.join(line) for line in lines)
