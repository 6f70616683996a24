"""ELF notes, as a kernel shows its own in /sys/kernel/notes: which link it came out of."""

from __future__ import annotations

import struct

HEAD = struct.Struct("<III")
"""Size of the name, size of the descriptor, type (System V ABI, "Note Section"); both texts are padded to 4 bytes."""
OWNER, NT_GNU_BUILD_ID = b"GNU\0", 3


def parse_build_id(notes: bytes) -> str:
    """The build id among ELF notes, in hex; empty when there is none or it is cut off."""
    at = 0
    while at + HEAD.size <= len(notes):
        name_size, size, kind = HEAD.unpack_from(notes, at)
        name = at + HEAD.size
        text = name + (name_size + 3) // 4 * 4
        if (kind, notes[name : name + name_size]) == (NT_GNU_BUILD_ID, OWNER):
            found = notes[text : text + size]
            return found.hex() if len(found) == size else ""
        at = text + (size + 3) // 4 * 4
    return ""
