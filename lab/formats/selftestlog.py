"""Why a self-test does not build: what make and the compiler said, and the package of the host that may be missing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lab.formats.makelog import first_fault

STOPPED = re.compile(r"^make(?:\[\d+\])?: \*\*\* \[[^\]]*?(?:[/ ])(?P<name>[^/\]\s]+)\]")
TROUBLE = re.compile(r"error|undefined reference|cannot find|not found|No such file", re.IGNORECASE)
PACKAGES = {
    r"sys/capability\.h|-lcap\b": "libcap-dev",
    r"numa(?:if)?\.h|-lnuma\b": "libnuma-dev",
    r"libmnl/\S+\.h|-lmnl\b": "libmnl-dev",
    r"libelf\.h|gelf\.h|-lelf\b": "libelf-dev",
    r"openssl/\S+\.h|-lcrypto\b|-lssl\b": "libssl-dev",
    r"alsa/\S+\.h|-lasound\b": "libasound2-dev",
    r"popt\.h|-lpopt\b": "libpopt-dev",
    r"fuse\.h|-lfuse\b": "libfuse-dev",
    r"keyutils\.h|-lkeyutils\b": "libkeyutils-dev",
    r"liburing\.h|-luring\b": "liburing-dev",
    r"zlib\.h|-lz\b": "zlib1g-dev",
    r"pcap\.h|-lpcap\b": "libpcap-dev",
    r"\bclang\S*: (?:command )?not found|\bclang: No such file": "clang",
    r"\bllc\S*: (?:command )?not found|\bllvm-\S+: (?:command )?not found": "llvm",
    r"\brst2man\S*: (?:command )?not found|No module named 'docutils'": "python3-docutils",
    r"No module named 'yaml'": "python3-yaml",
    r"bits/libc-header-start\.h|gnu/stubs-32\.h|cannot find .*-m32": "gcc-multilib",
}
"""What a build complains of, and the Debian package that has it (12 and 13)."""


def why_unbuilt(lines: Sequence[str], name: str) -> str:
    """The first error of the rule that was to make `name`, and what surrounds it; of all of them when no rule names it."""
    own = _lines_of(lines, name)
    fault = first_fault(own)
    telling = [line for line in own if TROUBLE.search(line)]
    title = fault.title if not STOPPED.match(fault.title) or not telling else telling[0].strip()
    package = next((package for words, package in PACKAGES.items() if re.search(words, "\n".join([title, *telling[:3]]))), "")
    return "\n".join([title + (f" (on Debian: apt-get install {package})" if package else ""), *fault.context])


def _lines_of(lines: Sequence[str], name: str) -> Sequence[str]:
    """What one rule printed: with --output-sync it stands in one piece before make's own line."""
    for at, line in enumerate(lines):
        match = STOPPED.match(line)
        if match and match["name"] == name:
            begin = max(
                (number + 1 for number in range(at) if lines[number].startswith(("make: ***", "  CC", "  BINARY"))), default=0
            )
            return lines[begin : at + 1]
    return lines
