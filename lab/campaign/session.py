"""What the verbs of one command line share: settings, cache, events, the ledger of the run, and the steps from ask to Build."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lab.cache import Cache
from lab.campaign.equip import equipped
from lab.campaign.hardware import PROOF, asked
from lab.campaign.history import History
from lab.campaign.ledger import Ledger
from lab.campaign.plan import Ask, Bench, Side
from lab.campaign.rundir import RunDir, new_run
from lab.campaign.settings import CHANGES, Settings, changed_guest, guest_spec, read_settings, unknown, whole_number
from lab.errors import LabError, UsageError
from lab.events import Emit, Event, Note, StageFinished, StageStarted
from lab.guest.accel import prove
from lab.guest.image import make_image
from lab.guest.tsc import tsc_khz
from lab.kernel.build import build
from lab.kernel.foreign import foreign
from lab.kernel.kconfig import find_kconfig
from lab.kernel.series import combine, git_range
from lab.kernel.source import from_git, obtain
from lab.kernel.tree import apply
from lab.measure.payload import read_payload
from lab.model.change import Build, Kconfig, Series, Source, Tree
from lab.model.machine import Accel, GuestSpec, Image
from lab.model.run import Job, PayloadSpec

FIRST_RUN_GB = 10
"""Source 1.5 GB, a slot 3.5 GB, Builds 0.2 GB each, the compiler cache."""

TableRows = tuple[str, tuple[str, ...], tuple[tuple[str, ...], ...]]
"""Title, column heads, rows: what a terminal can show."""


class Lab:
    """One command line. Holds no state that a file does not hold better, except the ledger of the run."""

    def __init__(self, root: Path, listen: Emit, words: list[str]) -> None:
        self.root = root
        self.listen = listen
        self.command = shlex.join(["./inv", *words])
        self.cache = Cache.default()
        self.settings: Settings = read_settings(root / "lab.toml")
        self.history = History(self.cache.root / "history.json")
        self._ledger: Ledger | None = None
        self._announced = False
        self._made: dict[tuple[object, ...], Build] = {}
        self._images: dict[str, Image] = {}
        self._read: tuple[Source, Series] | None = None

    # --- the run -----------------------------------------------------------------------------------------------------

    @property
    def reports(self) -> Path:
        """Where runs are kept."""
        return self.root / "reports"

    @property
    def ledger(self) -> Ledger:
        """The run's ledger; the first use makes the run's directory."""
        if self._ledger is None:
            self._ledger = Ledger(new_run(self.reports), self.command, self.history)
        return self._ledger

    def continued(self, run: RunDir) -> Ledger:
        """The ledger of a run that may have begun earlier. Raises UsageError when this line has a run already."""
        if self._ledger is not None:
            raise UsageError("this line has a run already, and a matrix is one by itself", hint="give it a line of its own")
        self._ledger = Ledger(run, self.command, self.history)
        return self._ledger

    @property
    def has_run(self) -> bool:
        """Whether anything was built or booted, so that there is a run to close."""
        return self._ledger is not None

    def emit(self, event: Event) -> None:
        """Tell the ledger and the terminal."""
        if self._ledger is not None:
            event = self._ledger.expect(event)
            self._ledger.note(event)
        self.listen(event)

    def announce(self, ask: Ask) -> None:
        """The first line of every run: the accelerator and why; before a first run, what it will take."""
        if self._announced:
            return
        self._announced = True
        self.ledger.accel = None
        self.accel(ask)
        if not ask.kernel and (cold := self.forecast()):
            self.emit(Note(cold))

    def forecast(self) -> str:
        """What a first run will take, or nothing when the caches are warm."""
        source, build = (self.history.expected(stage) for stage in ("fetch", "build"))
        steps = []
        if not any((self.cache.root / "source").glob("[!.]*")):
            steps.append(f"150 MB to download and unpack, about {source / 60:.0f} min")
        if not self.cache.slots():
            steps.append(f"a cold kernel build, about {build / 60:.0f} min, and the patched kernel's changed objects")
        if not steps:
            return ""
        return f"first run: {'; '.join(steps)}; up to {FIRST_RUN_GB} GB under {self.cache.root}"

    @staticmethod
    def clock() -> Callable[[], float]:
        """A stop-watch: call it for the seconds since now."""
        started = time.monotonic()
        return lambda: time.monotonic() - started

    # --- from ask to Build -------------------------------------------------------------------------------------------

    def source(self, ask: Ask) -> Source:
        """The base that series are applied to."""
        if ask.git:
            return self._range(ask)[0] if ask.range else from_git(Path(ask.git), "HEAD", self.cache, self.emit)
        return obtain(self.settings.source, self.cache, self.emit)

    def sides(self, ask: Ask) -> tuple[Side, Side]:
        """Baseline and patched. The baseline of a series is the source with what the series requires."""
        required, named = self._named(ask)
        upto = whole_number("--upto", ask.upto, 0) if ask.upto else None
        if upto is not None and upto > len(named[-1].patches):
            raise UsageError(f"--upto {upto}: {named[-1].name} has {len(named[-1].patches)} patches")
        options = tuple(option for series in named for option in series.options)
        base = Side("baseline", required, None, self.kconfig(ask, ()))
        return base, Side("patched", (*required, *named), upto, self.kconfig(ask, options))

    def stack(self, ask: Ask) -> tuple[tuple[Series, ...], Series]:
        """What the patches stand on, and their series; of several that are combined the last one."""
        required, named = self._named(ask)
        return (*required, *named[:-1]), named[-1]

    def _named(self, ask: Ask) -> tuple[tuple[Series, ...], tuple[Series, ...]]:
        """What is required, and the series: of patches/, of a path, several joined by `+`, or of --git."""
        if not ask.git:
            name = ask.series or self.settings.default.series
            return combine(self.root / "patches", name, self.settings.order.series)
        if ask.series:
            raise UsageError("--git and --series both name the patches", hint="give one of them")
        return (), (self._range(ask)[1],)

    def _range(self, ask: Ask) -> tuple[Source, Series]:
        """The git range of --git, read once."""
        if self._read is None:
            self._read = git_range(Path(ask.git), _span(ask), dirty=ask.dirty, cache=self.cache, emit=self.emit)
        return self._read

    def kconfig(self, ask: Ask, options: tuple[str, ...]) -> Kconfig:
        """The kconfig that was asked for, with --set and the series' own options."""
        return find_kconfig(self.root / "kconfigs", ask.kconfig or self.settings.default.kconfig, (*ask.set.split(), *options))

    def build(self, ask: Ask, side: Side, baseline: Build | None = None) -> Build:
        """Source, patches, kconfig -> Build; recorded in the ledger, failure included. Raises LabError."""
        if ask.kernel:
            made = foreign(ask.kernel, self.cache)
            self.ledger.source = f"--kernel {ask.kernel}"
            return self._record(side, made, baseline)
        memo = (side.names, side.depth, side.kconfig, ask.cc)
        if memo in self._made:
            return self._made[memo]
        try:
            self._made[memo] = made = self.make(ask, side)
        except LabError as error:
            self.ledger.not_built(side, error)
            raise
        return self._record(side, made, baseline)

    def tree(self, ask: Ask, side: Side) -> Tree:
        """The source with the side's patches. Raises PatchError, SourceError."""
        source = self.source(ask)
        self.ledger.source = " ".join(filter(None, (source.release, source.tree[:12], source.label)))
        tree = apply(source, side.series, side.upto, self.cache, self.emit)
        for label in tree.labels:
            self.emit(Note(label))
        return tree

    def make(self, ask: Ask, side: Side) -> Build:
        """The side's kernel, which is in no record. Raises LabError."""
        return build(self.tree(ask, side), side.kconfig, cache=self.cache, emit=self.emit, cc=ask.cc or "gcc")

    def _record(self, side: Side, made: Build, baseline: Build | None) -> Build:
        self.ledger.built(side, made, baseline)
        return made

    # --- from Build to guest -----------------------------------------------------------------------------------------

    def guest(self, ask: Ask, payload: PayloadSpec | None = None) -> GuestSpec:
        """The guest that was named, else the one the payload suits, else lab.toml's; with the command line's changes."""
        default = self.settings.default.guest
        if payload and payload.guests and default not in payload.guests:
            default = payload.guests[0]
        spec = guest_spec(self.settings, ask.guest or default)
        return changed_guest(spec, {name: getattr(ask, name) for name in CHANGES})

    def image(self, name: str) -> Image:
        """The guest's root file system, with a forecast when it takes a while to make."""
        recipes = {path.parent.name: path.parent for path in sorted((self.root / "images").glob("*/image.toml"))}
        if name not in recipes:
            raise unknown("image", name, recipes, "an image is a directory of images/ with a recipe")
        if name not in self._images:
            self._images[name] = make_image(recipes[name], self.cache, self._timed)
        return self._images[name]

    def _timed(self, event: Event) -> None:
        """Pass on events of a stage that may run outside of a run, which keeps times by itself."""
        if self._ledger is None and isinstance(event, StageStarted):
            event = replace(event, expected_s=self.history.expected(event.stage))
        if self._ledger is None and isinstance(event, StageFinished) and event.ok:
            self.history.learn(event.stage, event.seconds)
        self.emit(event)

    def accel(self, ask: Ask, kernel: Build | None = None, image: Image | None = None) -> Accel:
        """The accelerator that really boots a kernel; said once, since everything else depends on it."""
        found = prove(self.cache, bzimage=kernel.bzimage if kernel else None, image=image, forced=ask.accel, emit=self.emit)
        found = replace(found, tsc_khz=tsc_khz(self.cache)) if found.name == "tcg" else found
        if self._ledger is not None and self._ledger.accel != found:
            self.emit(Note(f"accelerator: {found.name} ({found.evidence}); QEMU {found.qemu_version}"))
            self._ledger.accel = found
        return found

    def payload(self, name: str) -> PayloadSpec:
        """A payload of payloads/, built."""
        return read_payload(self.root / "payloads", name, self.cache)

    def proof(self, spec: GuestSpec) -> PayloadSpec | None:
        """What proves by effect that a guest is what was asked for; None: nothing special was."""
        return self.payload(PROOF) if asked(spec) else None

    def bench(self, ask: Ask, payload: PayloadSpec | None = None) -> Bench:
        """What the jobs on one guest share."""
        spec = self.guest(ask, payload)
        image = self.image(spec.image)
        accel, proof = self.accel(ask, image=image), self.proof(spec)
        return Bench(self.ledger.run, spec, image, accel, self.settings.budget, proof)

    def equip(self, ask: Ask, payload: PayloadSpec, tree: str) -> PayloadSpec:
        """The payload with those of its tools that the tree has, built; --kernel has no tree."""
        if ask.kernel or not payload.tools:
            return payload
        repository = self.source(ask).repository
        return equipped(payload, tree, repository, cache=self.cache, emit=self.emit, cc=ask.cc or "gcc")

    def equip_jobs(self, ask: Ask, jobs: Sequence[Job]) -> list[Job]:
        """The jobs, each payload with the tools of the tree that its kernel was built from."""
        return [replace(job, payload=job.payload and self.equip(ask, job.payload, job.kernel.tree)) for job in jobs]


def _span(ask: Ask) -> str:
    if not ask.range:
        raise UsageError("--git needs --range BASE..TIP", hint="for example --git ~/linux --range v6.12..HEAD")
    return ask.range


def width(settings: Settings) -> int:
    """How many guests run at a time: what lab.toml says, but no more than there are CPUs."""
    return max(1, min(settings.budget.workers, len(os.sched_getaffinity(0))))
