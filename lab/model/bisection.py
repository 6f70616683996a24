"""Which patch did it: what is looked for, every look, and the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

SubjectKind = Literal["build", "finding", "case", "message", "exact", "count", "sample"]
"""A compiler's error, a fingerprint of the kernel's log, a failing case, another way to fail; a row, by its metric's kind."""
Reached = Literal["unapplied", "unbuilt", "died", "done", "missed"]
"""How far a look came: patches without the one taken out do not apply; no kernel; the guest died; to the end; the lab's fault."""
Reverted = Literal["gone", "remains", "untold"]
"""What became of the subject in the whole series without the patch."""
Word = Literal["found", "several", "suspects", "nothing", "already", "unknown"]
"""One patch; several, each by itself; no telling which of them; the ends do not differ; the good end has it; nothing to see."""


@dataclass(frozen=True)
class Subject:
    """What is looked for: a symptom, or a row whose value tells."""

    kind: SubjectKind
    name: str
    """A finding's fingerprint, a case's name, the message without its numbers, or the metric."""

    @property
    def is_row(self) -> bool:
        """Whether values tell, not a symptom."""
        return self.kind in ("exact", "count", "sample")

    def __str__(self) -> str:
        return self.name if self.kind in ("build", "finding") else f"{self.kind}:{self.name}"


@dataclass(frozen=True)
class Look:
    """What one build, or one boot of it, showed: the first `k` patches but those taken out."""

    k: int
    reached: Reached
    probe: int = 0
    """The probe it was made for, counted from 1; boots of one probe were mixed."""
    without: tuple[int, ...] = ()
    """1-based numbers of patches that were left out."""
    symptoms: tuple[Subject, ...] = ()
    passed: tuple[str, ...] = ()
    """Cases that passed."""
    rows: dict[str, float] = field(default_factory=dict)
    """The boot's value of each row."""
    commit: str = ""
    runs: str = ""
    """Digest of what of the kernel runs; equal ones behave alike."""
    job: str = ""
    made: bool = False
    """Whether a make was run for it."""
    seconds: float = 0.0
    why: str = ""
    """One line."""
    word: str = ""
    """What it counted as, when all was known: good, bad, skip or miss."""


@dataclass(frozen=True)
class Culprit:
    """A patch that was found."""

    k: int
    patch: str
    """Its file's name."""
    title: str
    confidence: float
    """Of its being the first one with the subject, given all looks; 1 minus at most a millionth where looks are certain."""
    before: tuple[float, ...] = ()
    """The row's values without it, by boot: the patches before it."""
    after: tuple[float, ...] = ()
    forward: str = ""
    """What its own kernel and the one before it said when they were booted again."""
    reverted: Reverted = "untold"
    reason: str = ""
    """Why it could not be told what became of the subject without the patch."""


@dataclass(frozen=True)
class Bisection:
    """The answer, and all it stands on."""

    series: str
    payload: str
    kconfig: str
    guest: str
    good: int
    """How many patches of the series are in at the good end."""
    bad: int
    patches: tuple[str, ...]
    """File names of all patches of the series, in order."""
    subject: Subject | None
    word: Word
    culprits: tuple[Culprit, ...] = ()
    suspects: tuple[str, ...] = ()
    """Patches between which the looks cannot tell, by file name."""
    posterior: dict[str, float] = field(default_factory=dict)
    """Of every patch, by file name, and of `none`: the probability of being the first with it, after the first search."""
    inert: tuple[str, ...] = ()
    """Patches that change nothing that runs, as far as kernels before and after them were built or none was needed."""
    why: str = ""
    """For `nothing`, `already`, `suspects` and `unknown`: the reason."""
    looks: tuple[Look, ...] = ()
