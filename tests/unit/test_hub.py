from __future__ import annotations

import struct

import pytest
from frames import Seat, checksum, datagram, packet, who_has

from lab.guest.hub import ETHERNET, EVERYBODY, ICMP, PING, PONG, answer

GUEST, HOST = Seat(2, 1), Seat(2, 0)
PINGED = packet(GUEST, HOST, ICMP, bytes([PING, 0]) + b"\0\0" + b"0123456789ab")


def ping(text: bytes) -> bytes:
    head = bytes([PING, 0, 0, 0])
    return head[:2] + checksum(head + text).to_bytes(2, "big") + text


def test_an_address_is_told_to_whoever_asks_for_it() -> None:
    reply = answer(who_has(GUEST, HOST), 2)
    assert reply[:14] == ETHERNET.pack(GUEST.hardware, HOST.hardware, 0x0806)
    assert reply[14:] == struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + HOST.hardware + HOST.inet + GUEST.hardware + GUEST.inet


def test_a_datagram_to_port_7_comes_back_as_it_was() -> None:
    reply = answer(datagram(GUEST, HOST, 7, b"hello"), 2)
    body = reply[14:]
    assert (body[12:16], body[16:20]) == (HOST.inet, GUEST.inet)
    assert struct.unpack("!HH", body[20:24]) == (7, 4000)
    assert body[28:] == b"hello"
    assert checksum(body[:20]) == 0, "the sum of the header holds"


@pytest.mark.parametrize("text", [b"", b"0123456789ab", b"\xff" * 56, bytes(56)])
def test_a_ping_is_answered_with_a_sum_that_holds(text: bytes) -> None:
    above = answer(packet(GUEST, HOST, ICMP, ping(b"\0\1\0\2" + text)), 2)[34:]
    assert (above[0], above[4:]) == (PONG, b"\0\1\0\2" + text)
    assert checksum(above) in (0, 0xFFFF)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        who_has(GUEST, Seat(2, 2)),
        who_has(GUEST, HOST)[:30],
        datagram(GUEST, Seat(2, 2), 7, b"to the other guest"),
        datagram(GUEST, Seat(2, 2), 7, b"to nobody's address", to=HOST.hardware),
        datagram(GUEST, HOST, 8, b"another port"),
        packet(GUEST, HOST, 6, bytes(20)),
        packet(GUEST, HOST, ICMP, bytes([PONG]) + bytes(7)),
        PINGED[:14] + b"\x41" + PINGED[15:],
        PINGED[:14] + b"\x4f" + PINGED[15:40],
        PINGED[:20] + b"\x20\x00" + PINGED[22:],
        ETHERNET.pack(EVERYBODY, GUEST.hardware, 0x86DD) + bytes(40),
    ],
    ids=[
        *("nothing", "another's address", "cut ARP", "not to us", "not our address", "another port", "TCP", "pong"),
        *("short header", "long header", "fragment", "IPv6"),
    ],
)
def test_what_is_not_for_the_host_is_left_to_others(frame: bytes) -> None:
    assert answer(frame, 2) == b""


def test_no_cut_frame_is_an_error() -> None:
    for whole in (who_has(GUEST, HOST), datagram(GUEST, HOST, 7, b"hello"), PINGED):
        for end in range(len(whole)):
            answer(whole[:end], 2)
