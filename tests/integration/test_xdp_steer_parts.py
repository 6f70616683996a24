"""What the payload xdp-steer does that runs without a guest: its hash is SHA-256, and it refuses a machine it cannot set up."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lab.cache import Cache
from lab.deadline import Deadline
from lab.measure.payload import read_payload
from lab.proc import run

PAYLOAD = Path(__file__).parents[2] / "payloads" / "xdp-steer"
HASH = """
#include <stdio.h>
#include <string.h>
#include "sha256.h"
int main(int argc, char **argv)
{
	struct sha256 hash;
	char digest[65];

	sha256_begin(&hash);
	for (int i = 1; i < argc; i++)
		sha256_add(&hash, argv[i], strlen(argv[i]));
	sha256_end(&hash, digest);
	puts(digest);
	return 0;
}
"""


@pytest.fixture(scope="module")
def hasher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that hashes its words, one after the other."""
    place = tmp_path_factory.mktemp("sha256")
    (place / "main.c").write_text(HASH)
    words: list[str | Path] = [
        "gcc",
        "-std=gnu11",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-I",
        PAYLOAD,
        place / "main.c",
        PAYLOAD / "sha256.c",
    ]
    run([*words, "-o", place / "hash"], deadline=Deadline.after(60))
    return place / "hash"


@pytest.mark.parametrize("words", [[], ["abc"], ["x" * 55], ["x" * 56], ["x" * 64, "y"], ["z" * 1400] * 3])
def test_the_hash_of_a_stream_is_sha_256_of_its_pieces_together(hasher: Path, words: list[str]) -> None:
    said = run([hasher, *words], deadline=Deadline.after(20)).stdout

    assert said.strip() == hashlib.sha256("".join(words).encode()).hexdigest()


def test_the_programs_are_built_with_the_bpf_object_beside_them(tmp_path: Path) -> None:
    spec = read_payload(PAYLOAD.parent, "xdp-steer", Cache(tmp_path))

    assert (spec.directory / "steer.bpf.o").read_bytes()[:4] == b"\x7fELF"
    assert (spec.directory / "steer.bpf.o").read_bytes()[18:20] == (247).to_bytes(2, "little")  # EM_BPF


def test_without_control_groups_it_bails_out(tmp_path: Path) -> None:
    spec = read_payload(PAYLOAD.parent, "xdp-steer", Cache(tmp_path))
    hide = 'mount -t tmpfs none /sys/fs/cgroup; exec "$0"'
    words: list[str | Path] = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", hide, spec.directory / "xdp-steer"]

    done = run(words, deadline=Deadline.after(60), check=False, cwd=spec.directory)

    assert done.status == 1
    assert "Bail out!" in done.stdout
