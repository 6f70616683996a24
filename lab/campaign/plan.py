"""What is to be built and booted, worked out before anything runs: sides, job ids, forecast."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lab.campaign.rundir import RunDir
from lab.campaign.settings import Budget
from lab.errors import UsageError
from lab.model.change import Build, Kconfig, Series
from lab.model.machine import Accel, GuestSpec, Image
from lab.model.matrix import Kernel, file_name, shortened
from lab.model.run import Job, KernelFiles, PayloadSpec, Role


@dataclass(frozen=True)
class Ask:
    """What the command line asked for, as words; empty: not given, lab.toml decides."""

    series: str = ""
    upto: str = ""
    kconfig: str = ""
    guest: str = ""
    payload: str = ""
    kernel: str = ""
    git: str = ""
    range: str = ""
    dirty: bool = False
    append: str = ""
    cpus: str = ""
    memory: str = ""
    qemu_arg: str = ""
    image: str = ""
    share: str = ""
    set: str = ""
    cc: str = ""
    accel: str = ""
    any: bool = False
    strict: bool = False
    explain: bool = False
    row: str = ""
    caches: bool = False
    inlines: bool = False
    symptom: str = ""
    words: str = ""
    dry_run: bool = False


def refuse(ask: Ask, option: str, hint: str) -> None:
    """Raise UsageError when an option was given that means nothing to the verb."""
    if value := getattr(ask, option):
        raise UsageError(f"--{option} {value} does not go with this verb", hint=hint)


@dataclass(frozen=True)
class Side:
    """One kernel of a comparison: a stack of series, how far into the last one, and the kconfig."""

    role: Role
    series: tuple[Series, ...]
    upto: int | None
    kconfig: Kconfig

    @property
    def names(self) -> tuple[str, ...]:
        """The series' names, in order."""
        return tuple(series.name for series in self.series)

    @property
    def depth(self) -> int:
        """How many patches of the last series are in."""
        total = len(self.series[-1].patches) if self.series else 0
        return total if self.upto is None else self.upto

    @property
    def label(self) -> str:
        """What a table calls it: `base`, `reserve`, `reserve+agent-local[:3]`."""
        cut = f"[:{self.upto}]" if self.upto is not None and self.series else ""
        return ("+".join(self.names) or "base") + cut


def kernel_files(build: Build) -> KernelFiles:
    """The part of a Build that a job carries."""
    return KernelFiles(
        key=build.key,
        release=build.release,
        bzimage=build.bzimage,
        vmlinux=build.vmlinux,
        system_map=build.system_map,
        config=build.config,
        tree=build.tree,
        kconfig_hash=build.kconfig_hash,
        toolchain=build.toolchain,
        labels=build.labels,
    )


@dataclass(frozen=True)
class Bench:
    """Everything that jobs of one bench share."""

    run: RunDir
    guest: GuestSpec
    image: Image
    accel: Accel
    budget: Budget
    proof: PayloadSpec | None = None
    """What proves by effect what a guest asks of its hardware."""

    def job(self, side: Side, build: Build, payload: PayloadSpec | None, boot: int, *, explain: bool = False) -> Job:
        """The job of one side's `boot`-th boot with `payload`, or of a plain boot; `explain`: one that is not judged."""
        last = side.series[-1].name if side.series else "base"
        words = [
            payload.name if payload else "boot",
            last,
            f"k{side.depth:02d}",
            side.kconfig.name,
            side.role,
            f"{'x' if explain else 'r'}{boot:02d}",
        ]
        job_id = ".".join(word.replace("/", "-") for word in words)
        slow = self.budget.factor(side.kconfig.name)
        return Job(
            id=job_id,
            role=side.role,
            series=side.names,
            upto=side.depth,
            kconfig=side.kconfig.name,
            kernel=kernel_files(build),
            guest=self.guest,
            image=self.image,
            accel=self.accel,
            payload=payload,
            boot=boot,
            directory=self.run.job(job_id).path,
            proof=self.proof,
            stall_budget_s=self.budget.stall_cpu_s * slow,
            boot_budget_s=self.budget.boot_s * slow,
            slow=slow,
            explain=explain,
        )


def named(job: Job, kernel: Kernel, only: str = "") -> Job:
    """The job under a name that says all that it depends on: cells that have the same one share the boot."""
    payload = job.payload.name if job.payload else "boot"
    words = [shortened(payload), kernel.id, job.guest.name, *([f"for-{only}"] if only else []), job.role, f"r{job.boot:02d}"]
    name = file_name(".".join(words))
    return replace(job, id=name, directory=job.directory.with_name(name))
