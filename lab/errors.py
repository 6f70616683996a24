"""The lab's error family: a bad kernel is data, a bad lab is an exception.

LabError
├── UsageError      the command line or a TOML file is wrong          exit 2
├── HostError       this machine lacks something                      exit 3
├── SourceError     the kernel source cannot be had or verified       exit 3
├── PatchError      a patch does not apply                            exit 1
├── KconfigError    a requested option did not survive olddefconfig   exit 1
├── BuildError      the kernel does not compile                       exit 1
├── GuestError      the guest misbehaved                              exit 1
│   ├── BootTimeout   not ready within its budget, or stalled
│   └── LostGuest     QEMU or the connection went away (the lab's fault until shown otherwise)
└── PayloadError    a payload cannot be built or declared wrongly     exit 3
"""

from __future__ import annotations

from pathlib import Path

from lab.model.outcome import Finding


class LabError(Exception):
    """Something expected went wrong; says what, on what, and what to do next.

    `message` is one or more lines; `hint` the remedy; `log` the file with everything; `finding` what a report shows when
    the kernel, not the lab, is at fault.
    """

    code = 3

    def __init__(self, message: str, *, hint: str = "", log: Path | None = None, finding: Finding | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.log = log
        self.finding = finding

    def __str__(self) -> str:
        lines = [self.message]
        if self.log is not None:
            lines.append(f"log: {self.log}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class UsageError(LabError):
    """The caller asked for something that does not exist or contradicts itself."""

    code = 2


class HostError(LabError):
    """The host lacks a program, a permission or disk space."""


class SourceError(LabError):
    """The kernel source is missing, changed or of another release."""


class PatchError(LabError):
    """A patch of a series does not apply."""

    code = 1


class KconfigError(LabError):
    """An option that was asked for is not in the resolved .config."""

    code = 1


class BuildError(LabError):
    """The kernel does not build; the message holds the first compiler error."""

    code = 1


class GuestError(LabError):
    """The guest misbehaved."""

    code = 1


class BootTimeout(GuestError):
    """The guest was not ready in its budget, or showed no progress for too long."""


class LostGuest(GuestError):
    """QEMU died or the connection broke: a fault of the lab or the emulator, not of the kernel."""

    code = 3


class PayloadError(LabError):
    """A payload cannot be built, or its declaration is wrong."""
