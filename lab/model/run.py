"""Jobs, their results, and the one document that other programs read: results.json."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lab.model.bisection import Bisection
from lab.model.judgement import Comparison, Metric
from lab.model.machine import Accel, GuestSpec, Image
from lab.model.matrix import CellResult, LeftOut
from lab.model.outcome import Case, Finding, Milestone, Row, Status
from lab.model.price import PriceList
from lab.model.profile import PLAIN, Explanation, Profiling
from lab.model.published import Published
from lab.model.steady import Steadiness
from lab.model.suite import CaseRow

Role = Literal["baseline", "patched"]
PayloadKind = Literal["test", "bench", "kselftest", "kunit"]
"""The last two are the kernel's own tests: judged against the other side's, not by themselves."""
SCHEMA = 1


@dataclass(frozen=True)
class PayloadSpec:
    """A payload as payload.toml declares it, and where its built files are."""

    name: str
    summary: str
    directory: Path
    """Built files, sent to the guest as they are."""
    hash: str
    command: tuple[str, ...]
    """argv inside the payload's directory on the guest."""
    metrics: tuple[Metric, ...]
    kind: PayloadKind = "bench"
    options: tuple[str, ...] = ()
    """CONFIG_X=y lines it needs; a kernel without them gives SKIP with the reason."""
    guests: tuple[str, ...] = ()
    """Guests it suits, the one a bench takes first; empty: any."""
    peer: tuple[str, ...] = ()
    """argv on the second guest of a pair, run before `command`: ends with 0 when its service is up in the background."""
    timeout_s: float = 300.0
    article: str = ""
    instrument: bool = True
    """Whether the cost plugin counts between its marks."""
    tools: tuple[str, ...] = ()
    """Files that `make` makes under the tree's tools/, which lie beside its own; a tree that lacks them gives it none."""
    leaks: dict[str, str] = field(default_factory=dict)
    """Rows that are known to wobble from boot to boot, each with what leaks into its count."""
    published: tuple[Published, ...] = ()
    """What others measured of its rows."""
    unbuilt: dict[str, str] = field(default_factory=dict)
    """Self-tests that do not build on this side, each with the compiler's first error."""

    @property
    def is_suite(self) -> bool:
        """Whether it holds the kernel's own tests."""
        return self.kind in ("kselftest", "kunit")


@dataclass(frozen=True)
class KernelFiles:
    """The files of a Build that a job needs: values, so that a job can be carried to another machine."""

    key: str
    release: str
    bzimage: Path
    vmlinux: Path
    system_map: Path
    config: Path
    tree: str
    kconfig_hash: str
    toolchain: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One cell, one boot: what a worker reads. The id is readable: pingpong.null.k02.default.baseline.r01."""

    id: str
    role: Role
    series: tuple[str, ...]
    upto: int
    kconfig: str
    kernel: KernelFiles
    guest: GuestSpec
    image: Image
    accel: Accel
    payload: PayloadSpec | None
    """None: boot only."""
    boot: int
    """1-based number of the boot of this side."""
    directory: Path
    proof: PayloadSpec | None = None
    """What proves by effect that the guest is what was asked for; run before the payload with a word an ask."""
    stall_budget_s: float = 60.0
    """Seconds of QEMU's own CPU time without a sign of progress until the guest counts as stalled."""
    boot_budget_s: float = 180.0
    """Host seconds to ready, the last resort."""
    slow: float = 1.0
    """Factor on every budget: how much slower than the default kernel this one may be."""
    explain: bool = False
    """Whether it is run to say where instructions are executed; such a boot is never judged against another."""
    profiling: Profiling = PLAIN


End = Literal["finished", "kernel", "lab"]


@dataclass(frozen=True)
class BootRecord:
    """What one boot left before anything is judged; with the logs beside it, it can be judged again."""

    end: End
    """finished: to the end; kernel: the guest died or stalled by its own fault; lab: QEMU or the connection went away."""
    seconds: float
    message: str = ""
    milestones: tuple[Milestone, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Kernel log, stalls, and what ended the boot; decoded."""
    checks: tuple[Case, ...] = ()
    """What was asked of the hardware and the command line, beside what was found."""
    payload_status: int | None = None
    """The payload's exit status; None when it did not get to exit."""
    complete: bool = False
    """Whether QEMU quit cleanly, so that console and counts are whole."""
    skipped: str = ""
    """Why the payload was not run."""
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JobResult:
    """What a worker leaves."""

    id: str
    series: tuple[str, ...]
    upto: int
    kconfig: str
    guest: str
    payload: str
    role: Role
    boot: int
    status: Status
    seconds: float
    cases: tuple[Case, ...] = ()
    samples: tuple[Row, ...] = ()
    findings: tuple[Finding, ...] = ()
    milestones: tuple[Milestone, ...] = ()
    notes: tuple[str, ...] = ()
    message: str = ""
    """For anything but PASS: the one message a person needs."""
    attempts: int = 1
    """2 when a MISS was retried on a fresh guest: shown as flaky, never as a plain pass."""
    env: dict[str, str] = field(default_factory=dict)
    explain: bool = False
    """Whether the boot was for an explanation; its rows are in no comparison."""
    tests: tuple[Case, ...] = ()
    """Results of the kernel's own tests. They decide nothing here: the run's `tests` compare them with the other side's."""

    @classmethod
    def of(cls, job: Job, status: Status, seconds: float, *, message: str = "") -> JobResult:
        """The result of `job`, with nothing in it yet but how it ended."""
        return cls(
            id=job.id,
            series=job.series,
            upto=job.upto,
            kconfig=job.kconfig,
            guest=job.guest.name,
            payload=job.payload.name if job.payload else "",
            role=job.role,
            boot=job.boot,
            explain=job.explain,
            status=status,
            seconds=seconds,
            message=message,
        )


@dataclass(frozen=True)
class BuildRecord:
    """A side's kernel as results.json shows it."""

    role: Role
    series: tuple[str, ...]
    upto: int
    kconfig: str
    key: str
    tree: str
    release: str
    status: Status
    seconds: float
    reused: bool
    objects: int
    findings: tuple[Finding, ...] = ()
    warnings: tuple[str, ...] = ()
    options_delta: tuple[str, ...] = ()
    """kconfig lines that differ from the baseline's."""


@dataclass(frozen=True)
class Results:
    """results.json: everything a run found; its JSON Schema is generated from this class and committed."""

    run: str
    command: str
    status: Status
    exit: int
    started: str
    """ISO 8601, UTC."""
    seconds: float
    source: str
    accel: Accel | None
    env: dict[str, str]
    builds: tuple[BuildRecord, ...]
    jobs: tuple[JobResult, ...]
    comparisons: tuple[Comparison, ...]
    findings: tuple[Finding, ...] = ()
    """Findings that belong to no job, e.g. a patch that does not apply."""
    stages: tuple[Milestone, ...] = ()
    """Seconds per stage."""
    any_more: bool = False
    """--any: every MORE fails the run, material or not."""
    strict: bool = False
    """--strict: WOBBLE, INCONCLUSIVE and FLAKY fail the run."""
    tests: tuple[CaseRow, ...] = ()
    """The kernel's own tests on both sides."""
    explanations: tuple[Explanation, ...] = ()
    """Where the instructions of rows are executed, with --explain."""
    cells: tuple[CellResult, ...] = ()
    """Of a matrix: what became of each of its cells."""
    left_out: tuple[LeftOut, ...] = ()
    """Of a matrix: combinations that were not run, and why."""
    bisection: Bisection | None = None
    """Which patch did it. Its looks are in no `builds` or `jobs`."""
    prices: tuple[PriceList, ...] = ()
    """What every patch costs, with `bisect --profile` or `matrix --per-patch`."""
    steadiness: tuple[Steadiness, ...] = ()
    """One kernel's rows over many cold boots."""
    schema: int = SCHEMA
