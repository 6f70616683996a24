"""ELF notes: the build id is found among others, or there is none."""

from __future__ import annotations

import struct

import pytest

from lab.formats.elfnotes import parse_build_id


def note(name: bytes, kind: int, text: bytes) -> bytes:
    head = struct.pack("<III", len(name), len(text), kind)
    return head + name + bytes(-len(name) % 4) + text + bytes(-len(text) % 4)


XEN, ID = note(b"Xen\0", 6, b"linux"), note(b"GNU\0", 3, bytes(range(20)))


@pytest.mark.parametrize("notes", [ID, XEN + ID, note(b"Linux\0", 3, b"x") + XEN + ID + XEN])
def test_the_build_id_is_found_among_other_notes(notes: bytes) -> None:
    assert parse_build_id(notes) == bytes(range(20)).hex()


@pytest.mark.parametrize("notes", [b"", b"GNU", XEN, note(b"GNU\0", 1, b"abi!")])
def test_without_one_there_is_none(notes: bytes) -> None:
    assert parse_build_id(notes) == ""


def test_notes_that_are_cut_off_have_none() -> None:
    assert [parse_build_id((XEN + ID)[:cut]) for cut in range(len(XEN + ID))] == [""] * len(XEN + ID)
