"""A whole lab in a temporary directory: toy kernel, patches, kconfigs, a payload; real make and workers, fake QEMU and vng.

As a program: `python toylab.py ROOT [WORD...]` runs its matrix and prints a line an event, so that it can be killed anywhere.
The words are those of the verb: name=, shard=, fresh, per-patch, and fields of Ask (series=a,b).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from fakeguest import ROOT, use_fake_qemu
from kerneltree import CLAMP, COMMENT, FILES, VNG, commit, developer_tree, format_patches, tarball

from lab.cache import Cache
from lab.campaign.matrix import Words, matrix_verb
from lab.campaign.plan import Ask
from lab.campaign.session import Lab
from lab.errors import LabError
from lab.events import Event
from lab.model.run import Results

IMAGE = """{
	printf 'fake=%s,release=%s\\n' "$(cat init/fake)" "$(cat "$1")"
	head -c 514 /dev/zero
}
"""
TOY = {**FILES, "scripts/image": IMAGE, "init/fake": "ready\n"}
"""The tree whose image says how the fake QEMU behaves."""
SERIES: dict[str, tuple[dict[str, tuple[str, str]], ...]] = {
    "good": (CLAMP, COMMENT),
    "broken": (COMMENT, {"fs/read_write.c": ("\tint ret;\n", "\tint ret = file->odd;\n")}),
    "panics": ({"init/fake": ("ready\n", "panic\n")},),
    "warns": ({"init/fake": ("ready\n", "warn\n")},),
    "conflicts": ({"fs/read_write.c": ("\tint ret;\n", "\tint ret;\n\tint more;\n")},),
}
PAYLOAD = """summary = "reads"
command = ["./reads"]
instrument = false
timeout_s = 60

[[metrics]]
name = "reads"
unit = "calls"
kind = "exact"
"""
SCRIPT = """#!/bin/sh
printf 'KTAP version 1\\n1..1\\n# sample reads 4 calls\\nok 1 reads\\n'
"""
SETTINGS = """[source]
kind = "tarball"
location = "{location}"
sha256 = "{sha256}"

[default]
series = "good"
kconfig = "default"
guest = "fake"
payloads = ["reads"]

[guest.fake]
mode = "counts"

[guest.other]
mode = "counts"

[budget]
stall_cpu_s = 1.0
boot_s = 60.0

{matrices}
"""
MATRIX = """[matrix.default]
series = ["good", "broken", "panics"]
kconfigs = ["default", "net"]
payloads = ["reads"]
"""


def toy_lab(root: Path, matrices: str = MATRIX, payload: str = PAYLOAD) -> Path:
    """Make the lab's files under `root`; returns it."""
    root.mkdir()
    spec = tarball(root / "linux.tar", TOY)
    (root / "lab.toml").write_text(SETTINGS.format(location=spec.location, sha256=spec.sha256, matrices=matrices))
    (root / "kconfigs").mkdir()
    (root / "kconfigs" / "default.config").write_text("CONFIG_SMP=y\n")
    (root / "kconfigs" / "net.config").write_text("#INCLUDE# default\nCONFIG_NET=y\n")
    for name, changes in SERIES.items():
        tree = developer_tree(root / f"work-{name}", TOY)
        for number, change in enumerate(changes, 1):
            commit(tree, f"{name}: step {number}", change)
        format_patches(tree, root / "patches" / name)
    text = (root / "patches" / "conflicts" / next(os.walk(root / "patches" / "conflicts"))[2][0]).read_text()
    next((root / "patches" / "conflicts").iterdir()).write_text(
        text.replace(" \tint ret;", " \tlong ret;").replace("-\tint ret", "-\tlong ret")
    )
    (root / "payloads" / "include").mkdir(parents=True)
    place = root / "payloads" / "reads"
    place.mkdir()
    (place / "payload.toml").write_text(payload)
    (place / "Makefile").write_text("$(OUT)/reads: reads.sh\n\tcp reads.sh $@ && chmod 755 $@\n")
    (place / "reads.sh").write_text(SCRIPT)
    (root / "images").symlink_to(ROOT / "images")
    return root


def use_toys(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Put the fake QEMU and the fake vng in front of the PATH, and the cache below `root`'s parent."""
    use_fake_qemu(monkeypatch, root.parent)
    place = root.parent / "bin"
    place.mkdir(exist_ok=True)
    (place / "vng").write_text(VNG.replace("$VNG_CALLS", str(root.parent / "vng.calls")))
    (place / "vng").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(root.parent / "cache"))


def run_matrix(root: Path, *words: str, listen: list[Event] | None = None) -> Results:
    """Run the matrix in this process; what it found."""
    options = dict(word.partition("=")[::2] for word in words)
    flags = [options.pop(flag, None) is not None for flag in ("fresh", "per-patch")]
    own = Words(options.pop("name", ""), options.pop("shard", ""), "", *flags)
    lab = Lab(root, listen.append if listen is not None else say, ["matrix", *words])
    ask = Ask(accel="tcg", **options)  # type: ignore[arg-type]  # words are strings
    return closed(lab, lambda: matrix_verb(lab, ask, own))


def closed(lab: Lab, verb: Callable[[], None]) -> Results:
    """Run a verb as a line by itself; what it found. Raises what it raises, after the run was closed."""
    error: BaseException | None = None
    try:
        verb()
    except (LabError, KeyboardInterrupt) as caught:
        error = caught
    if error is not None and not lab.has_run:
        raise error
    results = lab.ledger.close(error)
    if isinstance(error, LabError):
        raise error
    return results


def say(event: Event) -> None:
    """A line an event, at once."""
    sys.stdout.write(f"{type(event).__name__} {asdict(event)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    print(run_matrix(Path(sys.argv[1]), *sys.argv[2:]).status)  # noqa: T201  (a program of the tests)
    assert Cache.default().root
