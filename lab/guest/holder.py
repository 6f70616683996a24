"""Inside the private network's namespace: `python -m lab.guest.holder FD HOSTS QUEUES...`, started by network.private_network.

Makes bridges and taps, hands the taps' queues over the socket FD, answers every UDP datagram to port 7, and ends when the socket
does. The kernel takes namespace, bridges and taps back with the last process and descriptor.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

from lab.deadline import Deadline
from lab.errors import LabError
from lab.guest.network import MAKE_TAP, READY, REFUSED, TAP, ip_batch, tap_name
from lab.proc import run

NEEDS = {"ip": "iproute2"}
IP_S = 20.0
ECHO_PORT = 7
"""RFC 862."""
TUN = "/dev/net/tun"
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_MULTI_QUEUE, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x0100, 0x1000, 0x4000
"""linux/if_tun.h"""
IFREQ = struct.Struct("16sH22x")
"""struct ifreq of netdevice(7), with ifr_flags."""


def main(fd: int, hosts: int, queues: list[int]) -> int:
    """Hold the network until the other end of `fd` closes."""
    with socket.socket(fileno=fd) as link, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as echo:
        try:
            _quiet()
            for host in range(1, hosts + 1):
                for nic, pairs in enumerate(queues):
                    hand_over(link, tap_name(nic, host), pairs)
            # a tap that was there before its first queue would be without carrier for up to a second
            lines = "\n".join(line for line in ip_batch(queues, hosts) if not line.startswith(MAKE_TAP))
            run(["ip", "-batch", "-"], deadline=Deadline.after(IP_S), stdin=lines.encode())
            echo.bind(("0.0.0.0", ECHO_PORT))  # noqa: S104  (every address of a namespace that only guests reach)
        except (LabError, OSError) as error:
            link.send(REFUSED + (error.message if isinstance(error, LabError) else str(error)).encode())
            return 1
        link.send(READY)
        serve(link, echo)
    return 0


def open_queue(tap: str, *, many: bool) -> int:
    """A queue of a tap, as QEMU wants it. Raises OSError."""
    fd = os.open(TUN, os.O_RDWR | os.O_CLOEXEC)
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (IFF_MULTI_QUEUE if many else 0)
    try:
        fcntl.ioctl(fd, TUNSETIFF, IFREQ.pack(tap.encode(), flags))
    except OSError:
        os.close(fd)
        raise
    return fd


def hand_over(link: socket.socket, tap: str, pairs: int) -> None:
    """Open all queues of a tap and give them away. Raises OSError."""
    fds: list[int] = []
    try:
        fds.extend(open_queue(tap, many=pairs > 1) for _ in range(pairs))
        socket.send_fds(link, [TAP], fds)
    finally:
        for fd in fds:
            os.close(fd)


def serve(link: socket.socket, echo: socket.socket) -> None:
    """Send every datagram back to its sender until the other end of `link` is closed."""
    with selectors.DefaultSelector() as waiting:
        for each in (link, echo):
            waiting.register(each, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is link:
                    return
                with suppress(OSError):  # a guest that is gone, a full queue: datagrams may be lost
                    said, sender = echo.recvfrom(65536)
                    echo.sendto(said, sender)


def _quiet() -> None:
    """No router solicitations and the like: what is counted on this network should be what was sent. As far as may be."""
    with suppress(OSError):
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), [int(word) for word in sys.argv[3:]]))
