from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import HostError
from lab.guest import qemu
from lab.model.machine import Accel, GuestSpec, Instrument

TCG = Accel("tcg", proven=True, evidence="KVM hangs", qemu_version="7.2.22")
KVM = Accel("kvm", proven=True, evidence="booted", qemu_version="7.2.22")
SINGLE = GuestSpec("single", cpus=1, memory_mib=1024, mode="exact")


def line(spec: GuestSpec, accel: Accel = TCG, instrument: Instrument | None = None, append: tuple[str, ...] = ()) -> str:
    argv = qemu.qemu_argv(
        spec,
        accel,
        bzimage=Path("bzImage"),
        initrd=Path("initrd"),
        console_log=Path("console,log"),
        wires=qemu.PASTED,
        instrument=instrument,
        append=append,
    )
    return " ".join(argv)


def test_exact_mode_is_one_thread_of_counted_instructions_with_nothing_random() -> None:
    words = line(SINGLE)
    assert "-accel tcg,thread=single" in words
    assert "-icount shift=0,sleep=on" in words
    assert "rdrand=off,rdseed=off" in words
    assert "-rtc base=2026-01-01T00:00:00,clock=vm -seed 1" in words
    assert "norandmaps nokaslr randomize_kstack_offset=off tsc=reliable tsc_early_khz=1000000" in words


def test_exact_mode_is_tcg_even_where_kvm_works() -> None:
    assert "-accel tcg,thread=single" in line(SINGLE, KVM)


def test_counts_take_kvm_where_it_works_and_one_tcg_thread_elsewhere() -> None:
    counts = replace(SINGLE, mode="counts", cpus=4)
    assert "-accel kvm -cpu host" in line(counts, KVM)
    assert "-smp 4,sockets=1,cores=4,threads=1 -accel tcg,thread=single" in line(counts, TCG)
    assert "-icount" not in line(counts, TCG)


def test_wall_mode_without_kvm_is_refused_with_the_evidence() -> None:
    with pytest.raises(HostError, match="KVM hangs"):
        line(replace(SINGLE, mode="wall"))


def test_the_slow_calibration_is_left_out_only_where_one_cpu_can_do_without() -> None:
    assert "nolapic_timer" in line(SINGLE)
    assert "nolapic_timer" not in line(replace(SINGLE, cpus=2))
    assert "nolapic_timer" not in line(replace(SINGLE, mode="counts"))


def test_every_emulated_guest_may_trust_its_clock_and_no_other_is_told_to() -> None:
    assert "tsc=reliable" in line(replace(SINGLE, mode="counts", cpus=8))
    assert "tsc_early_khz" not in line(replace(SINGLE, mode="counts"))
    assert "tsc=reliable" not in line(replace(SINGLE, mode="counts"), KVM)


def test_a_guest_whose_time_is_the_hosts_is_told_how_fast_it_passes() -> None:
    known = replace(TCG, tsc_khz=2_596_134)

    assert "tsc=reliable tsc_early_khz=2596134" in line(replace(SINGLE, mode="counts"), known)
    assert "tsc_early_khz=1000000" in line(SINGLE, known)
    assert "tsc_early_khz" not in line(replace(SINGLE, mode="counts"), replace(KVM, tsc_khz=2_596_134))


def test_a_busy_host_is_no_broken_timer_where_time_is_the_hosts() -> None:
    assert "no_timer_check" in line(replace(SINGLE, mode="counts", cpus=4))
    assert "no_timer_check" not in line(SINGLE)
    assert "no_timer_check" not in line(replace(SINGLE, mode="counts"), KVM)


def test_only_emulated_mode_is_multi_threaded() -> None:
    assert "thread=multi" in line(replace(SINGLE, mode="emulated"))


def test_the_guest_has_no_way_out_and_its_port_is_picked_by_the_kernel() -> None:
    assert "restrict=on,hostfwd=tcp:127.0.0.1:0-:22" in line(SINGLE)


def test_what_others_ask_for_comes_along() -> None:
    spec = replace(SINGLE, cmdline=("quiet",), qemu_args=("-device", "nvme"))
    words = line(spec, instrument=Instrument(("-plugin", "cost.so"), Path("cost.out")), append=("fake=panic",))
    assert "panic=-1 quiet fake=panic" in words
    assert words.endswith("-plugin cost.so -device nvme")


def test_a_comma_in_the_logs_path_does_not_end_the_option() -> None:
    assert "logfile=console,,log," in line(SINGLE)


def test_the_disk_of_an_image_is_read_only_and_an_image_without_one_has_none() -> None:
    assert qemu.disk(None) == ()
    _, backend, _, device = qemu.disk(Path("a,b.squashfs"))
    assert "read-only=on" in backend
    assert backend.endswith("file.read-only=on,file.filename=a,,b.squashfs")
    assert device == "virtio-blk-pci,drive=root"


def test_gdb_waits_on_a_socket() -> None:
    assert qemu.gdb_stub("/run/gdb") == ("-gdb", "unix:path=/run/gdb,server=on,wait=off", "-S")


def test_a_command_on_the_hosts_root_needs_udev_and_a_shell_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    vng, udevadm = tmp_path / "vng", tmp_path / "udevadm"
    vng.touch(0o755)

    assert qemu.host_root_argv(Path("bzImage"), (), kvm=True) == (str(vng), "--run", "bzImage")
    with pytest.raises(HostError, match="udev"):
        qemu.host_root_argv(Path("bzImage"), ("true",), kvm=True)

    udevadm.touch(0o755)
    assert qemu.host_root_argv(Path("bzImage"), ("echo", "a b"), kvm=False)[-3:] == ("--disable-kvm", "--", "echo 'a b'")
