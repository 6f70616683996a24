"""A kernel tree of a dozen lines that is configured and built by make in a second, and patches for it."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from lab.cache import Cache
from lab.events import silent
from lab.kernel.source import obtain
from lab.model.change import Source, SourceSpec

MAKEFILE = r"""VERSION = 6
PATCHLEVEL = 12
SUBLEVEL = 99
EXTRAVERSION =
NAME = Fake

KCONFIG_CONFIG ?= .config
OBJECTS = init/main.o fs/read_write.o
CFLAGS = -O1 -g -ffreestanding -fno-pie -Iinclude $(KCFLAGS)

all: bzImage
	@echo module > fs/dummy.ko; echo fs/dummy.o > modules.order

bzImage: arch/x86/boot/bzImage

allnoconfig:
	@sh scripts/conf "$(KCONFIG_ALLCONFIG)" "$(KCONFIG_CONFIG)"

x86_64_defconfig:
	@echo CONFIG_SMP=y > "$(KCONFIG_CONFIG)"

olddefconfig:
	@cp "$(KCONFIG_CONFIG)" request.tmp; sh scripts/conf request.tmp "$(KCONFIG_CONFIG)"

include/config/kernel.release: .config
	@mkdir -p include/config; echo 6.12.99$(LOCALVERSION) > $@

%.o: %.c include/file.h .config
	@echo "  CC      $@"
	@$(CC) $(CFLAGS) -c -o $@ $<
	@echo done > $(dir $@).$(notdir $@).cmd

vmlinux: $(OBJECTS) include/config/kernel.release
	@echo "  LD      $@"
	@ld -e main --build-id=none -o $@ $(OBJECTS)
	@nm -n $@ > System.map

arch/x86/boot/bzImage: vmlinux
	@mkdir -p $(dir $@)
	@echo "  BUILD   $@"
	@sh scripts/image include/config/kernel.release > $@
"""
CONF = """# knows the options of Kconfig; OBSCURE needs NET, which only comes when asked for
: > "$2.aside"
for symbol in $(sed -n 's/^config //p' Kconfig); do
	line=$(grep "^CONFIG_$symbol=" "$1" | tail -n 1)
	[ "$symbol" = OBSCURE ] && ! grep -q '^CONFIG_NET=y' "$1" && line=
	echo "${line:-# CONFIG_$symbol is not set}" >> "$2.aside"
done
mv "$2.aside" "$2"
"""
IMAGE = r"""{
	head -c 514 /dev/zero; printf HdrS; head -c 8 /dev/zero; printf '\020\000'
	printf '%s (lab@lab) #1' "$(cat "$1")"; head -c 64 /dev/zero
}
"""
KCONFIG = """mainmenu "Fake"

config SMP
	bool "Many processors"

config NET
	bool "Networks"
	help
		config FALSE_FRIEND

menu "Deep"
	depends on NET

config OBSCURE
	bool "Something obscure"
	depends on SMP || FALSE_FRIEND

endmenu

config MODULES
	bool "Modules"
"""
MAIN_C = """#include "file.h"

int vfs_read(struct file *file, int count);

int main(void)
{
	struct file file = { .mode = 1 };

	return vfs_read(&file, 3);
}
"""
READ_WRITE_C = """#include "file.h"

#define MAX_RW_COUNT 4096

int vfs_read(struct file *file, int count);

int vfs_read(struct file *file, int count)
{
	int ret;

	if (!file->mode)
		return -1;
	if (count > MAX_RW_COUNT)
		count = MAX_RW_COUNT;
	ret = count;

	return ret;
}
"""
FILES = {
    "Makefile": MAKEFILE,
    "Kconfig": KCONFIG,
    "scripts/conf": CONF,
    "scripts/image": IMAGE,
    "include/file.h": "struct file {\n\tint mode;\n};\n",
    "init/main.c": MAIN_C,
    "fs/read_write.c": READ_WRITE_C,
    ".gitignore": "*.o\n/*\n!/debian/\n",
}
VNG = """#!/bin/sh
# stands for virtme-ng: `vng --build --verbose [--skip-modules] VAR=value...` is `make bzImage LOCALVERSION=-virtme VAR=value...`
echo "vng $*" >> "$VNG_CALLS"
target=
for word; do
	shift
	case $word in
	--skip-modules) target=bzImage ;;
	--*) ;;
	*) set -- "$@" "$word" ;;
	esac
done
exec make $target LOCALVERSION=-virtme "$@" -j 2
"""
TESTS = "tools/testing/selftests"
SELFTESTS_MK = r"""# what the lab relies on of tools/testing/selftests/lib.mk
TEST_GEN_PROGS := $(patsubst %,$(OUTPUT)/%,$(TEST_GEN_PROGS))
TEST_GEN_FILES := $(patsubst %,$(OUTPUT)/%,$(TEST_GEN_FILES))
all: $(TEST_GEN_PROGS) $(TEST_GEN_FILES)
$(OUTPUT)/%:%.c
	@printf '  CC       %s\n' $(notdir $@)
	@$(CC) $(CFLAGS) $(KHDR_INCLUDES) $^ $(LDLIBS) -o $@
install: all
	mkdir -p $(INSTALL_PATH)
	rsync -a $(TEST_PROGS) $(TEST_FILES) $(wildcard config settings) $(INSTALL_PATH)/
	rsync -a $(TEST_GEN_PROGS) $(INSTALL_PATH)/
	rsync -a $(TEST_GEN_FILES) $(INSTALL_PATH)/
.PHONY: all install
"""
AUTHOR = {
    "GIT_AUTHOR_NAME": "A Developer",
    "GIT_AUTHOR_EMAIL": "dev@example.org",
    "GIT_AUTHOR_DATE": "1600000000 +0200",
    "GIT_COMMITTER_NAME": "A Developer",
    "GIT_COMMITTER_EMAIL": "dev@example.org",
    "GIT_COMMITTER_DATE": "1600000000 +0200",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def tarball(path: Path, files: Mapping[str, str] = FILES) -> SourceSpec:
    """A tar of the tree at `path`, as what [source] says of it."""
    with tarfile.open(path, "w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"linux-fake/{name}")
            raw = text.encode()
            member.size, member.mode = len(raw), 0o755 if name.startswith("scripts/") else 0o644
            tar.addfile(member, io.BytesIO(raw))
        link = tarfile.TarInfo("linux-fake/include/link.h")
        link.type, link.linkname = tarfile.SYMTYPE, "file.h"
        tar.addfile(link)
    return SourceSpec("tarball", location=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def fake_source(directory: Path, cache: Cache, files: Mapping[str, str] = FILES) -> Source:
    """The tree as a Source in `cache`."""
    return obtain(tarball(directory / "linux-fake.tar", files), cache, silent)


def git(directory: Path, *words: str) -> str:
    """A git command of a developer, with fixed dates."""
    done = subprocess.run(
        ["git", *words], cwd=directory, env={**os.environ, **AUTHOR}, check=True, capture_output=True, text=True
    )
    return done.stdout


def developer_tree(directory: Path, files: Mapping[str, str] = FILES) -> Path:
    """A developer's own repository of the tree, with a commit tagged `base`."""
    tree = directory / "linux"
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    (tree / ".gitignore").write_text("*.o\n")
    git(tree, "init", "--quiet", "-b", "main")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "-m", "base")
    git(tree, "tag", "base")
    return tree


def commit(tree: Path, title: str, changes: Mapping[str, tuple[str, str]], body: str = "Because.") -> str:
    """A commit that replaces text in files (an empty old text makes or replaces the file); its id."""
    for name, (old, new) in changes.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() if old else ""
        assert old in before, f"{name} has no {old!r}"
        path.write_text(before.replace(old, new, 1) if old else new)
        git(tree, "add", "--force", name)
    git(tree, "commit", "--quiet", "-m", f"{title}\n\n{body}")
    return git(tree, "rev-parse", "HEAD").strip()


def format_patches(tree: Path, directory: Path, *words: str) -> Path:
    """The commits after `base` as a directory of patches."""
    git(tree, "format-patch", "--quiet", "--zero-commit", "--no-signature", *words, "-o", str(directory), "base..HEAD")
    return directory


CLAMP = {
    "fs/read_write.c": (
        "\tif (count > MAX_RW_COUNT)\n\t\tcount = MAX_RW_COUNT;\n",
        "\tcount = count > MAX_RW_COUNT ? MAX_RW_COUNT : count;\n",
    )
}
RENAME = {"fs/read_write.c": ("\tcount = count > MAX_RW_COUNT ? MAX_RW_COUNT : count;\n", "\tcount = clamp(count);\n")}
COMMENT = {"init/main.c": ('#include "file.h"\n', '/* the first function */\n#include "file.h"\n')}
