"""What the options that verbs share mean, and which verbs share which."""

from __future__ import annotations

OPTIONS = {
    "series": "a name in patches/, several joined by +, or a path to any directory of patches",
    "upto": "only the first K patches of the series",
    "kconfig": "a name in kconfigs/",
    "kernel": "skip source and build: a bzImage, or O=DIR",
    "git": "take the patches from this git repository (never written to)",
    "range": "with --git: BASE..TIP",
    "dirty": "with --git: the work tree's uncommitted changes as one more patch",
    "set": "CONFIG_X=y lines on top, separated by spaces",
    "cc": "the compiler",
    "guest": "a guest of lab.toml",
    "append": "more kernel arguments",
    "cpus": "another number of vCPUs",
    "memory": "another size of memory, MiB",
    "qemu_arg": "more words for QEMU's command line",
    "image": "another image of images/ than the guest's own",
    "share": "a directory of the host that the guest sees, read-only, at /share",
    "accel": "kvm or tcg, instead of the proven one",
    "payload": "payloads, separated by commas; `all` for every one",
    "any": "exit 1 for any MORE, not only a material one",
    "strict": "exit 1 for WOBBLE, INCONCLUSIVE and FLAKY too",
    "explain": "boot each side once more and say which functions and layers the difference is in",
    "caches": "with --explain: estimate cycles with a model of caches, too (lab.toml, [caches])",
    "inlines": "with --explain: tell inlined functions apart, by the debug information",
    "row": "rows by name: with --explain, separated by commas, also those that are EQUAL; the one that `bisect` goes by",
    "symptom": "a part of what is looked for: a finding's fingerprint, a case's name, a compiler's error",
    "words": "with a single self-test TARGET:TEST: the words that it gets, instead of those of lab.toml",
    "dry_run": "print the exact git, make, QEMU and payload lines; run nothing",
}
BOOLEAN = ("dirty", "any", "strict", "explain", "caches", "inlines", "dry_run")
PATCHES = ("series", "upto", "git", "range", "dirty", "dry_run")
KERNEL = (*PATCHES, "kconfig", "kernel", "set", "cc")
GUEST = (*KERNEL, "guest", "append", "cpus", "memory", "qemu_arg", "image", "share", "accel")
BENCH = (*GUEST, "payload", "any", "strict", "explain", "row", "caches", "inlines")
SUITE = (*GUEST, "strict")
MATRIX = ("series", "upto", "kconfig", "guest", "payload", "cc", "accel", "any", "strict", "dry_run")
PROBE = (*GUEST, "payload", "row", "symptom")
