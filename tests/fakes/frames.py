"""A guest's end of a private network without a guest: raw Ethernet frames through the descriptors that QEMU would get."""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from lab.guest.hub import ARP, ASK, ETHERNET, EVERYBODY, TYPE_ARP, TYPE_IP, UDP
from lab.guest.network import Port, address, mac

WAIT_S = 10.0
VNET_HEADER = 10
"""struct virtio_net_hdr, in front of every frame of a tap with IFF_VNET_HDR."""


@dataclass(frozen=True)
class Seat:
    """An address of the network of a NIC; host 0 is the lab's own."""

    nic: int
    host: int

    @property
    def hardware(self) -> bytes:
        return bytes.fromhex(mac(self.nic, self.host).replace(":", ""))

    @property
    def inet(self) -> bytes:
        return socket.inet_aton(address(self.nic, self.host))

    def beside(self, host: int) -> Seat:
        """Another on the same network."""
        return Seat(self.nic, host)


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def who_has(seat: Seat, wanted: Seat) -> bytes:
    """An ARP request."""
    asked = ARP.pack(1, TYPE_IP, 6, 4, ASK, seat.hardware, seat.inet, bytes(6), wanted.inet)
    return ETHERNET.pack(EVERYBODY, seat.hardware, TYPE_ARP) + asked


def packet(seat: Seat, target: Seat, protocol: int, above: bytes, *, to: bytes = b"") -> bytes:
    """An IPv4 packet, to the hardware address of `target` unless another is given."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(above), 1, 0, 64, protocol, 0) + seat.inet + target.inet
    head = head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
    return ETHERNET.pack(to or target.hardware, seat.hardware, TYPE_IP) + head + above


def datagram(seat: Seat, target: Seat, port: int, text: bytes, *, to: bytes = b"") -> bytes:
    """UDP from port 4000, without a checksum."""
    return packet(seat, target, UDP, struct.pack("!HHHH", 4000, port, 8 + len(text), 0) + text, to=to)


def send(port: Port, frame: bytes) -> None:
    os.write(port.fds[0], bytes(VNET_HEADER) * (port.kind == "tap") + frame)


def received(port: Port) -> Iterator[bytes]:
    """Frames from any queue, until none comes."""
    while ready := select.select(port.fds, [], [], WAIT_S)[0]:
        for fd in ready:
            yield os.read(fd, 65536)[VNET_HEADER * (port.kind == "tap") :]


def ask_address(port: Port, seat: Seat, wanted: Seat) -> bytes:
    """The hardware address that answers for an IP address."""
    send(port, who_has(seat, wanted))
    for frame in received(port):
        if ETHERNET.unpack_from(frame)[2] == TYPE_ARP:
            _, _, _, _, _, found, ip, _, _ = ARP.unpack_from(frame, ETHERNET.size)
            if ip == wanted.inet:
                return bytes(found)
    raise AssertionError(f"nobody answers for {wanted}")


def ask_echo(port: Port, seat: Seat, text: bytes) -> bytes:
    """What port 7 of the host's address sends back."""
    host = seat.beside(0)
    send(port, datagram(seat, host, 7, text, to=ask_address(port, seat, host)))
    for frame in received(port):
        body = frame[ETHERNET.size :]
        if ETHERNET.unpack_from(frame)[2] == TYPE_IP and body[9] == UDP and body[16:20] == seat.inet:
            return bytes(body[28 : int.from_bytes(body[24:26], "big") + 20])
    raise AssertionError("no echo")
