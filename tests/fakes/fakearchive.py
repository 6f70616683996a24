"""A package archive that offers what a table says, with shell scripts for the programs that ask it and make images of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SCRIPTS = {
    # print-uris of every package asked for that the table has; the first that it lacks ends it, as with the real one
    "apt-get": """
echo "$*" >>$here/asked
if [ "$1" = update ]; then
	[ ! -e $here/renewed ] || { cp $here/renewed $here/table; cp $here/renewed $here/lists/host_Packages; rm -f $here/broken; }
	exit
fi
while [ "$1" != install ]; do shift; done
shift
for word; do
	case $word in '?essential') word=base; esac
	line=$(grep "^${word%%=*} " $here/table) || { echo "E: Unable to locate package $word" >&2; exit 100; }
	set -- $line
	echo "'http://archive/pool/$1.deb' $1_$2_amd64.deb 1000000 SHA256:$(printf %064d 7)"
done""",
    "apt-cache": """
while [ "$1" != policy ]; do shift; done
shift
for word; do
	grep -q "^$word " $here/table || continue
	printf '%s:\\n  Installed: (none)\\n  Candidate: 1\\n  Version table:\\n' $word
done""",
    "apt-config": """
[ "$1" != dump ] || { printf 'APT "";\\nAcquire::http::Proxy "http://proxy:1";\\nAcquire::IndexTargets "";\\n'; exit; }
printf "LISTS='$here/lists/'\\nETC='$here/etc/'\\nLIST='$here/etc/sources.list'\\nPARTS='$here/etc/sources.list.d/'\\n" """,
    # the real one's hooks, with a root that holds nothing but dpkg's status
    "mmdebstrap": """
[ "$1" != --version ] || { echo "mmdebstrap $(cat $here/version)"; exit; }
printf '%s\\n' "$@" >$here/argv
[ ! -e $here/broken ] || { echo "E: it is broken" >&2; exit 1; }
root=$(mktemp -d $TMPDIR/root.XXXXXX) && mkdir -p $root/var/lib/dpkg $root/var/lib/apt/lists
for word; do
	case $word in --include=*) IFS=,; for one in ${word#--include=}; do
		printf 'Package: %s\\nStatus: install ok installed\\nVersion: %s\\n\\n' ${one%%=*} ${one#*=} >>$root/var/lib/dpkg/status
	done ;; esac
done
[ ! -e $here/more ] || printf 'Package: more\\nStatus: install ok installed\\nVersion: 1\\n\\n' >>$root/var/lib/dpkg/status
for word; do
	case $word in --*-hook=*) word=${word#*=} ;; *) continue ;; esac
	if [ -x "$word" ]; then "$word" $root; else sh -c "$word" exec $root; fi >&2
done
cat $root/var/lib/dpkg/status
rm -r $root""",
    "mksquashfs": """
[ "$1" != -version ] || { echo "mksquashfs 1"; exit; }
cat >$2""",
    "unshare": """
while [ "${1#-}" != "$1" ]; do shift; done
exec "$@" """,
    "mount": "",
    "umount": "",
}


@dataclass
class FakeArchive:
    """`packages`: name to version; the essential package is called base."""

    directory: Path
    packages: dict[str, str] = field(default_factory=lambda: {"base": "1", "gadget": "2:1.0", "tool": "3"})

    def offer(self, **packages: str) -> None:
        """From now on the archive has these besides base, and the host's lists say so."""
        self.packages = {"base": "1", **packages}
        text = "".join(f"{name} {version}\n" for name, version in self.packages.items())
        (self.directory / "table").write_text(text)
        (self.directory / "lists/host_Packages").write_text(text)

    def touch(self, name: str, text: str = "") -> None:
        """One of the files that change what the scripts do: broken, more, renewed, version."""
        (self.directory / name).write_text(text)

    def asked(self) -> int:
        """How often apt-get was called."""
        place = self.directory / "asked"
        return len(place.read_text().splitlines()) if place.exists() else 0

    def argv(self) -> list[str]:
        """mmdebstrap's last words."""
        return (self.directory / "argv").read_text().splitlines()


def use_fake_archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeArchive:
    """Put the fake programs in front of the PATH."""
    place = tmp_path / "archive"
    for name in ("bin", "lists", "etc/sources.list.d"):
        (place / name).mkdir(parents=True)
    (place / "etc/sources.list").write_text("deb http://archive stable main\n")
    (place / "etc/sources.list.d/empty.list").write_text("\n")
    for name, text in SCRIPTS.items():
        path = place / "bin" / name
        path.write_text(f"#!/bin/sh\nhere={place}\n{text}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}/bin:{os.environ['PATH']}")
    archive = FakeArchive(place)
    archive.offer(**archive.packages)
    archive.touch("version", "1")
    return archive
