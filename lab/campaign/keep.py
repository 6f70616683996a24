"""The verbs about a guest one talks to: boot --keep, ssh, exec, console, gdb, ps, stop, and vng as another host."""

from __future__ import annotations

from collections.abc import Sequence

from lab.campaign.bench import boot_verb as boot_and_check
from lab.campaign.checks import check_guest
from lab.campaign.plan import Ask
from lab.campaign.session import Lab, TableRows
from lab.errors import UsageError
from lab.events import Note
from lab.guest import kept
from lab.guest.launch import BootPlan
from lab.guest.qemu import host_root_argv
from lab.guest.transfer import check_sources, check_wanted, named
from lab.kernel.symbols import read_symbols
from lab.model.outcome import Status
from lab.model.run import Job
from lab.proc import interactive


def boot_verb(lab: Lab, ask: Ask, rest: Sequence[str], *, keep: bool, gdb: bool, host_root: bool) -> int | None:
    """Boot once and check; with keep, leave the guest up; with host_root, hand the kernel to `vng --run`."""
    if host_root:
        return _host_root(lab, ask, rest)
    if not keep:
        boot_and_check(lab, ask)
        return None
    _, patched = lab.sides(ask)
    lab.announce(ask)
    kernel = lab.build(ask, patched)
    bench = lab.bench(ask)
    directory = lab.ledger.run.path / "kept"
    directory.mkdir()
    plan = BootPlan(
        spec=bench.guest,
        bzimage=kernel.bzimage,
        image=bench.image,
        accel=bench.accel,
        directory=directory,
        symbols=read_symbols(kernel.system_map, kernel.vmlinux),
        gdb=gdb,
    )
    guest = kept.keep(plan, f"{patched.label}.{bench.guest.name}", lab.emit)
    if not gdb:  # a guest that waits for gdb takes no commands yet
        _check(lab, bench.job(patched, kernel, None, 1), guest)
    lab.emit(Note(f"{guest.name} is up: ./inv ssh, ./inv exec -- CMD, ./inv console, ./inv stop"))
    for other in kept.peers(guest):
        lab.emit(Note(f"{other.name} is up too: ./inv exec --name {other.name} -- CMD"))
    if gdb:
        lab.emit(Note(kept.gdb_line(guest)))
    return None


def _check(lab: Lab, job: Job, guest: kept.Kept) -> None:
    """Say what was asked and what is there; a guest that is not what it should be stays up, and is looked at."""
    for each in (guest, *kept.peers(guest)):
        if each.note:
            lab.emit(Note(f"{each.name}: {each.note}"))
        with kept.shell(each) as shell:
            for case in check_guest(job, shell, each.spec):
                good = "" if case.status is Status.PASS else f"{case.status}: "
                lab.emit(Note(f"{good}{each.name}: {case.name}: {case.detail}"))


def _host_root(lab: Lab, ask: Ask, rest: Sequence[str]) -> int:
    _, patched = lab.sides(ask)
    lab.announce(ask)
    kernel = lab.build(ask, patched)
    return interactive(host_root_argv(kernel.bzimage, rest, kvm=lab.accel(ask).name == "kvm"))


def ssh_verb(name: str) -> int:
    """A shell on the guest, on the user's terminal."""
    return interactive(kept.ssh_command(kept.find(name)))


def exec_verb(name: str, words: Sequence[str], push: str = "", pull: str = "") -> int:
    """Run words in the guest and hand their exit status back; files named in `push` go before, those in `pull` come after."""
    if not words:
        raise UsageError("exec needs a command", hint="./inv exec -- uname -r")
    sources, wanted = check_sources(named(push)), check_wanted(named(pull))
    return kept.exec_words(kept.find(name), words, push=sources, pull=wanted)


def console_verb(name: str) -> int:
    """Attach to the console."""
    kept.console(kept.find(name))
    return 0


def gdb_verb(name: str) -> int:
    """Print how to attach gdb."""
    print(kept.gdb_line(kept.find(name)))  # noqa: T201  # the line is the result
    return 0


def ps_tables() -> tuple[TableRows, ...]:
    """Kept guests as a table."""
    rows = tuple((g.name, g.release, g.guest, str(g.port), f"{g.uptime_s:.0f} s", str(g.pid)) for g in kept.kept())
    return (("kept guests", ("name", "release", "guest", "ssh port", "up", "pid"), rows),)


def stop_verb(name: str, *, everything: bool) -> None:
    """Stop one kept guest, or all."""
    for guest in kept.kept() if everything else (kept.find(name),):
        kept.stop(guest)
