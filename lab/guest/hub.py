"""A private network without a namespace: `python -m lab.guest.hub FD HOSTS QUEUES...`, where no user may make taps.

A switch of Ethernet frames between sockets, one a guest and NIC, that is itself the host's address: it answers ARP, ping and
UDP port 7 as the bridge's end does. One queue a NIC. Ends when FD does.
"""

from __future__ import annotations

import selectors
import socket
import struct
import sys
from contextlib import suppress

from lab.guest.network import FRAMES, READY, address, mac

NEEDS: dict[str, str] = {}
ETHERNET = struct.Struct("!6s6sH")
ARP = struct.Struct("!HHBBH6s4s6s4s")
"""RFC 826, for Ethernet and IPv4."""
TYPE_IP, TYPE_ARP, ASK, REPLY = 0x0800, 0x0806, 1, 2
ICMP, UDP, PING, PONG, ECHO_PORT = 1, 17, 8, 0, 7
EVERYBODY = b"\xff" * 6
LONGEST = 65536


def main(fd: int, hosts: int, nics: int) -> int:
    """Be the switch until the other end of `fd` closes."""
    ports: dict[tuple[int, int], socket.socket] = {}
    with socket.socket(fileno=fd) as link, selectors.DefaultSelector() as waiting:
        for host in range(1, hosts + 1):
            for nic in range(nics):
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
                ports[nic, host] = ours
                ours.setblocking(False)
                waiting.register(ours, selectors.EVENT_READ, (nic, host))
                with theirs:
                    socket.send_fds(link, [FRAMES], [theirs.fileno()])
        link.send(READY)
        waiting.register(link, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is link:
                    return 0
                carry(ports, *key.data)


def carry(ports: dict[tuple[int, int], socket.socket], nic: int, host: int) -> None:
    """Take one frame from a guest: answer it, or pass it to the other guests on this NIC's network."""
    with suppress(OSError):  # a guest that is gone or slow: frames may be lost
        frame = ports[nic, host].recv(LONGEST)
        if reply := answer(frame, nic):
            ports[nic, host].send(reply)
            return
        for (its_nic, its_host), port in ports.items():
            if its_nic == nic and its_host != host:
                with suppress(OSError):
                    port.send(frame)


def answer(frame: bytes, nic: int) -> bytes:
    """What the host's address of this NIC's network says to a frame; empty: it is not for it."""
    if len(frame) < ETHERNET.size:
        return b""
    target, sender, kind = ETHERNET.unpack_from(frame)
    ours, here = bytes.fromhex(mac(nic, 0).replace(":", "")), socket.inet_aton(address(nic, 0))
    body = frame[ETHERNET.size :]
    if target not in (ours, EVERYBODY):
        return b""
    reply = _arp(body, ours, here) if kind == TYPE_ARP else _ip(body, here) if kind == TYPE_IP else b""
    return ETHERNET.pack(sender, ours, kind) + reply if reply else b""


def _arp(body: bytes, ours: bytes, here: bytes) -> bytes:
    if len(body) < ARP.size:
        return b""
    *form, operation, its_mac, its_ip, _, wanted = ARP.unpack_from(body)
    return ARP.pack(*form, REPLY, ours, here, its_mac, its_ip) if (operation, wanted) == (ASK, here) else b""


def _ip(body: bytes, here: bytes) -> bytes:
    """Ping and UDP echo: addresses and ports change places, which leaves the sums of IP and UDP as they are (RFC 1071)."""
    size = (body[0] & 15) * 4 if body else 0
    if size < 20 or len(body) < size + 8 or body[16:20] != here or int.from_bytes(body[6:8], "big") & 0x3FFF:
        return b""
    swapped = body[:12] + body[16:20] + body[12:16] + body[20:size]
    above = body[size:]
    if body[9] == UDP and int.from_bytes(above[2:4], "big") == ECHO_PORT:
        return swapped + above[2:4] + above[:2] + above[4:]
    if body[9] == ICMP and above[0] == PING:
        total = int.from_bytes(above[2:4], "big") + (PING << 8)
        total = (total & 0xFFFF) + (total >> 16)
        return swapped + bytes([PONG]) + above[1:2] + total.to_bytes(2, "big") + above[4:]
    return b""


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), len(sys.argv[3:])))
