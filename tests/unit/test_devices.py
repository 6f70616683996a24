from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.campaign.settings import guest_spec, read_settings
from lab.guest import devices, qemu
from lab.guest.devices import Backing, inherited, pasted
from lab.guest.network import Port, ip_batch, mac
from lab.model.machine import Accel, GuestSpec, Nic, Nvme

SETTINGS = read_settings(Path(__file__).parents[2] / "lab.toml")
TCG = Accel("tcg", proven=True, evidence="", qemu_version="7.2.22")
PLAIN = GuestSpec("plain")


def words(name: str, backing: Backing | None = None) -> str:
    """QEMU's command line of a committed guest."""
    spec = guest_spec(SETTINGS, name)
    return " ".join(
        qemu.qemu_argv(
            spec,
            TCG,
            bzimage=Path("bzImage"),
            initrd=Path("initrd"),
            console_log=Path("log"),
            wires=qemu.PASTED,
            backing=backing or pasted(spec, 1),
        )
    )


def test_a_plain_guest_has_one_cpu_one_node_and_no_device_more() -> None:
    assert devices.topology(PLAIN) == ("-smp", "1")
    assert devices.memory(PLAIN) == ("-m", "1024M")
    assert devices.nics(PLAIN, devices.NO_BACKING, 1) == devices.nvme(PLAIN, devices.NO_BACKING) == devices.share(None) == ()
    assert "-bios qboot.rom" in words("single")


def test_several_cpus_share_a_socket_unless_there_are_nodes() -> None:
    assert devices.topology(replace(PLAIN, cpus=4)) == ("-smp", "4,sockets=1,cores=4,threads=1")
    numa = guest_spec(SETTINGS, "numa")
    assert devices.topology(numa) == ("-smp", "8,sockets=2,cores=4,threads=1")
    assert devices.topology(replace(numa, cpus=7)) == ("-smp", "7,sockets=1,cores=7,threads=1")


def test_nodes_have_memory_cpus_and_distances_and_the_disk_hangs_on_its_own() -> None:
    said = words("numa")
    assert (
        "-m 1024M -object memory-backend-ram,id=ram0,size=512M -numa node,nodeid=0,memdev=ram0,cpus=0-3 "
        "-object memory-backend-ram,id=ram1,size=512M -numa node,nodeid=1,memdev=ram1,cpus=4-7 "
        "-numa dist,src=0,dst=1,val=21 -numa dist,src=1,dst=0,val=21" in said
    )
    assert "-device pxb-pcie,id=root0,bus=pcie.0,bus_nr=64,numa_node=1 -device pcie-root-port,id=slot0,bus=root0" in said
    assert said.endswith("drive=nvme0,max_ioqpairs=8,msix_qsize=9,bus=slot0")
    assert "qboot" not in said, "it does not set up bridges"


def test_cpus_of_a_node_may_have_gaps() -> None:
    node = replace(guest_spec(SETTINGS, "numa").nodes[0], cpus="0,2-3")
    assert "node,nodeid=0,memdev=ram0,cpus=0,cpus=2-3" in devices.memory(replace(PLAIN, nodes=(node,)))


def test_a_nic_of_many_queues_hangs_on_inherited_taps() -> None:
    backing = inherited([Port("tap", (5, 6, 7, 8, 9, 10, 11, 12))], [20])
    assert (
        "-netdev tap,id=net1,fds=5:6:7:8:9:10:11:12,vhost=off -device virtio-net-pci,netdev=net1,mac=52:54:00:99:00:02,romfile=,"
        "mq=on,vectors=18,rss=on,ctrl_guest_offloads=on,mrg_rxbuf=on,queue_reset=on,rx_queue_size=1024" in words("mq", backing)
    )


def test_a_disk_is_a_file_in_memory_with_the_queues_that_were_asked_for() -> None:
    backing = inherited([Port("tap", (5,))], [20])
    assert words("mq", backing).endswith(
        "-add-fd fd=20,set=1 "
        "-blockdev driver=raw,node-name=nvme0,file.driver=file,file.filename=/dev/fdset/1,file.locking=off "
        "-device nvme,id=nvme0c,serial=lab0,drive=nvme0,max_ioqpairs=4,msix_qsize=5"
    )


def test_a_disk_waits_for_a_slow_host_and_a_guest_without_one_is_not_told_of_disks() -> None:
    assert "nvme_core.io_timeout=600 nvme_core.admin_timeout=600" in words("disk")
    assert "nvme_core.io_timeout=15 nvme_core.admin_timeout=15" in words("isolated")
    assert "nvme_core" not in words("single")


def test_each_disk_has_a_set_of_its_own() -> None:
    said = " ".join(devices.nvme(replace(PLAIN, nvme=(Nvme(64, 1), Nvme(64, 2))), inherited([], [7, 9])))
    assert said.startswith("-add-fd fd=7,set=1 -add-fd fd=9,set=2 ")
    assert "node-name=nvme1,file.driver=file,file.filename=/dev/fdset/2" in said


def test_a_frame_socket_is_a_nic_of_one_queue() -> None:
    said = devices.nics(replace(PLAIN, nics=(Nic(1),)), inherited([Port("frames", (5,))], []), 2)
    assert said == (
        *("-netdev", "dgram,id=net1,local.type=fd,local.str=5"),
        *("-device", "virtio-net-pci,netdev=net1,mac=52:54:00:99:00:03,romfile="),
    )


def test_a_device_without_a_backing_is_not_left_out_in_silence() -> None:
    with pytest.raises(ValueError, match="zip"):
        devices.nics(replace(PLAIN, nics=(Nic(1),)), devices.NO_BACKING, 1)
    with pytest.raises(ValueError, match="zip"):
        devices.nvme(replace(PLAIN, nvme=(Nvme(64, 1),)), devices.NO_BACKING)


def test_a_share_is_read_only_and_may_have_a_comma_and_a_space() -> None:
    assert devices.share(Path("/a,b c")) == (
        *("-fsdev", "local,id=share,path=/a,,b c,security_model=none,readonly=on,multidevs=remap"),
        *("-device", "virtio-9p-pci,fsdev=share,mount_tag=share"),
    )


def test_the_last_byte_of_a_mac_is_that_of_the_address() -> None:
    assert (mac(0, 1), mac(0, 2), mac(11, 1)) == ("52:54:00:99:00:02", "52:54:00:99:00:03", "52:54:00:99:0b:02")


def test_the_network_of_a_pair_is_a_bridge_a_nic_and_a_tap_a_guest() -> None:
    assert ip_batch([4, 1], 2) == (
        "link set dev lo up",
        "link add dev br0 type bridge mcast_snooping 0",
        "address add 10.99.0.1/24 dev br0",
        "link set dev br0 up",
        "tuntap add dev tap0-1 mode tap multi_queue vnet_hdr",
        "link set dev tap0-1 master br0 up",
        "tuntap add dev tap0-2 mode tap multi_queue vnet_hdr",
        "link set dev tap0-2 master br0 up",
        "link add dev br1 type bridge mcast_snooping 0",
        "address add 10.99.1.1/24 dev br1",
        "link set dev br1 up",
        "tuntap add dev tap1-1 mode tap vnet_hdr",
        "link set dev tap1-1 master br1 up",
        "tuntap add dev tap1-2 mode tap vnet_hdr",
        "link set dev tap1-2 master br1 up",
    )
