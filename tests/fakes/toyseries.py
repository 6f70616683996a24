"""A lab in a temporary directory around the toy kernel tree: real make, git and workers; fake vng and QEMU.

What the fake QEMU does stands in init/fake of the tree; what the payload's row says is the last number of the kernel's release.
As a program: `python toyseries.py ROOT [WORD=VALUE...]` bisects the series `mine`, so that it can be killed anywhere.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fakeguest import ROOT
from kerneltree import FILES, SELFTESTS_MK, TESTS, commit, developer_tree, format_patches, tarball
from toylab import IMAGE, PAYLOAD, SETTINGS, closed, say

from lab.campaign.bisection import Words, bisect_verb
from lab.campaign.plan import Ask
from lab.campaign.session import Lab
from lab.events import Event
from lab.model.run import Results

NUMBERED = (
    ("echo 6.12.99$(LOCALVERSION)", "echo 6.12.$(shell cat init/number)$(LOCALVERSION)"),
    ("release: .config", "release: .config init/number"),
    ("vmlinux: $(OBJECTS)", "vmlinux: $(OBJECTS) init/fake init/number"),
    ("\t@echo done > $(dir", '\t@[ -z "$(C)" ] || $(CHECK) $<\n\t@echo done > $(dir'),
    ("-o $@ $(OBJECTS)", "-o $@ $(OBJECTS) -b binary init/fake init/number"),
)
"""What makes both files a part of what runs, and sparse a part of make."""
MAKEFILE = FILES["Makefile"]
for change in NUMBERED:
    assert change[0] in MAKEFILE
    MAKEFILE = MAKEFILE.replace(*change)
MAKEFILE += "\nheaders:\n\nifeq ($(C),2)\n$(OBJECTS): FORCE\nFORCE:\nendif\n"
CHECKPATCH = 'my $text = join "", <STDIN>; print "total: 0 errors, 0 warnings, 0 checks, 1 lines checked\\n";\n'
TOY = {
    **FILES,
    "Makefile": MAKEFILE,
    "scripts/image": IMAGE,
    "scripts/checkpatch.pl": CHECKPATCH,
    "init/fake": "ready\n",
    "init/number": "100\n",
    f"{TESTS}/Makefile": "all:\n",
    f"{TESTS}/lib.mk": SELFTESTS_MK,
}
SCRIPT = r"""#!/bin/sh
printf 'KTAP version 1\n1..1\n# sample reads %s calls\nok 1 reads\n' "$(uname -r | sed 's/.*\.\([0-9]*\)-.*/\1/')"
"""
SELFTEST = r"""#!/bin/sh
echo TAP version 13
echo 1..2
echo ok 1 reads
case $(uname -r) in *.107-*) echo ok 2 more ;; *) echo not ok 2 more; exit 1 ;; esac
"""
Change = Mapping[str, tuple[str, str]]
TESTED: Change = {
    f"{TESTS}/own/Makefile": ("", "TEST_PROGS := reads.sh\ninclude ../lib.mk\n"),
    f"{TESTS}/own/reads.sh": ("", SELFTEST),
}


def harmless(k: int) -> Change:
    """A change of code that is numbered, so that twelve of them differ."""
    return {"init/main.c": ("\tstruct file file", f"\tvolatile int step{k} = {k};\n\tstruct file file")}


def toy_lab(root: Path, changes: Sequence[Change]) -> Path:
    """The lab's files under `root`, with a series `mine` of these changes."""
    root.mkdir()
    spec = tarball(root / "linux.tar", TOY)
    text = SETTINGS.format(location=spec.location, sha256=spec.sha256, matrices="").replace('"good"', '"mine"')
    (root / "lab.toml").write_text(text)
    (root / "kconfigs").mkdir()
    (root / "kconfigs" / "default.config").write_text("CONFIG_SMP=y\n")
    (root / "kconfigs" / "debug.config").write_text("#INCLUDE# default\nCONFIG_NET=y\n")
    tree = developer_tree(root / "work", TOY)
    for number, change in enumerate(changes, 1):
        commit(tree, f"mine: step {number}", change)
    format_patches(tree, root / "patches" / "mine")
    (root / "payloads" / "include").mkdir(parents=True)
    place = root / "payloads" / "reads"
    place.mkdir()
    (place / "payload.toml").write_text(PAYLOAD.replace('"exact"', '"count"'))
    (place / "Makefile").write_text("$(OUT)/reads: reads.sh\n\tcp reads.sh $@ && chmod 755 $@\n")
    (place / "reads.sh").write_text(SCRIPT)
    (root / "images").symlink_to(ROOT / "images")
    return root


def declared(root: Path) -> Path:
    """The lab, whose series declares the self-tests of TESTED."""
    (root / "patches" / "mine" / "series.toml").write_text('selftests = ["own"]\n')
    return root


def makes(root: Path) -> int:
    """How often make was run."""
    calls = root.parent / "vng.calls"
    return len(calls.read_text().splitlines()) if calls.exists() else 0


def bisect(root: Path, listen: list[Event] | None = None, **options: Any) -> Results:
    """Bisect in this process. `options`: fields of Words and of Ask."""
    own = {name: options.pop(name) for name in list(options) if name in Words.__dataclass_fields__}
    lab = Lab(root, listen.append if listen is not None else say, ["bisect"])
    return closed(lab, lambda: bisect_verb(lab, Ask(accel="tcg", **options), Words(**own)))


if __name__ == "__main__":
    options: dict[str, Any] = dict(word.partition("=")[::2] for word in sys.argv[2:])
    bisect(Path(sys.argv[1]), **options)
