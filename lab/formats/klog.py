"""What a kernel's log complains of. A log cut off at any byte keeps every complaint whose naming line is in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lab.model.outcome import Finding

LONGEST = 200
LONGEST_UNTRACED = 100
"""Lines of one splat that are kept: with a stack trace, and before one came."""
FUNCTIONS = 5

STAMP = re.compile(r"^\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")
CUT_HERE = "------------[ cut here ]------------"
END = re.compile(r"---\[ end (?:trace|Kernel panic)|^={20,}$")
TRACE = re.compile(r"^(?:Call Trace:|Call trace:|stack backtrace:)")
FRAME = re.compile(r"^\s*(?P<guess>\? )?(?P<function>[A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x[0-9a-f]+")
RIP = re.compile(r"^RIP: [0-9a-f]{4}:(?P<function>[A-Za-z_][\w.]*)\+0x[0-9a-f]+")
PART = re.compile(
    r"^(?:\s|$|<|>|==|RIP:|RSP:|R[A-D0-9][XIP0-9]|R\d\d:|FS:|CS:|ES:|CR2:|DR\d:|PKRU:|Code:|Modules linked|CPU: |Hardware name"
    r"|Workqueue:|Call [Tt]race|EFLAGS|ORIG_RAX|FAT|Tainted|\d+ locks? held|#\d|Allocated by|Freed by|The buggy|Memory state"
    r"|page:|raw:|flags:|irq event|hardirqs|softirqs|note: |Kernel Offset|---\[|Mem-Info|Node |DMA|Normal|lowmem)"
)
NOISE = re.compile(
    r"^(?:dump_stack|show_stack|panic$|__?warn|warn_slowpath|report_bug|handle_bug|exc_|asm_exc_|asm_sysvec|sysvec_|die|__die|oops_"
    r"|page_fault_oops|kasan_|print_report|print_address|check_region|__asan|ubsan|__ubsan|lockdep|__lock_acquire|lock_acquire"
    r"|print_circular|check_noncircular|validate_chain|__might|___might|schedule|__schedule|entry_SYSCALL|do_syscall|x64_sys_call"
    r"|mutex_lock|__mutex_lock|ret_from_fork|kthread$|bad_area|no_context|mark_lock|print_usage)"
)


@dataclass(frozen=True)
class Rule:
    """A naming line: the kind of finding, how the line reads, whether the guest is dead."""

    kind: str
    pattern: re.Pattern[str]
    fatal: bool = False


def _rule(kind: str, pattern: str, *, fatal: bool = False) -> Rule:
    return Rule(kind, re.compile(pattern), fatal)


# The first rule that matches names the line. Texts: kernel/panic.c, arch/x86/mm/fault.c, kernel/locking/lockdep.c,
# mm/kasan/report.c, kernel/rcu/tree_stall.h, kernel/hung_task.c, kernel/watchdog.c, kernel/sched/core.c, mm/oom_kill.c,
# drivers/nvme/host/pci.c.
RULES = (
    _rule("panic", r"Kernel panic - not syncing|PANIC: double fault", fatal=True),
    _rule("kasan", r"BUG: (?:KASAN|KFENCE|KMSAN): "),
    _rule("kcsan", r"BUG: KCSAN: "),
    _rule("ubsan", r"UBSAN: "),
    _rule("soft-lockup", r"BUG: soft lockup|hard LOCKUP|BUG: workqueue lockup|BUG: spinlock lockup"),
    _rule("atomic", r"BUG: scheduling while atomic|BUG: sleeping function called from invalid context|BUG: Invalid wait context"),
    _rule("lockdep", r"WARNING: (?:possible |inconsistent lock state|suspicious RCU usage|bad unlock balance|held lock freed)"),
    _rule("lockdep", r"WARNING: .*(?:lock order|locks? (?:still )?held|HARDIRQ|SOFTIRQ|RECLAIM_FS)|recursive locking detected"),
    _rule("lockdep", r"INFO: (?:possible |trying to register non-static key)|BUG: MAX_LOCKDEP|DEBUG_LOCKS_WARN_ON|\[ BUG: "),
    _rule("rcu-stall", r"rcu: .*(?:detected stall|self-detected|expedited stalls)|INFO: rcu_\S+ (?:self-)?detected"),
    _rule("hung-task", r"INFO: task .* blocked (?:for more than|in I/O wait)"),
    _rule("bug", r"kernel BUG at |^BUG at "),
    _rule(
        "oops", r"BUG: unable to handle|BUG: kernel NULL pointer|Oops: |general protection fault|invalid opcode: |divide error: "
    ),
    _rule("oops", r"stack segment: |^int3: |corrupted stack end detected|stack guard page was hit"),
    _rule("bug", r"\bBUG: "),
    _rule("warn", r"WARNING: CPU: \d+ PID: \d+|WARNING: \S+:\d+ at |WARNING: at "),
    _rule("kmemleak", r"kmemleak: \d+ new suspected memory leaks"),
    _rule("oom", r"invoked oom-killer: |Out of memory: Killed|Memory cgroup out of memory"),
    _rule("alloc", r"page allocation failure: order:"),
    _rule("lost-interrupt", r"nvme\S* .*timeout, completion polled"),
)
BEFORE_TRACE = {"oops": {"bug", "kasan"}, "kasan": {"oops"}, "bug": {"warn", "lockdep"}, "warn": {"lockdep"}}
"""A naming line of the kind on the left, met before the trace of a splat of one of the kinds on the right, belongs to it."""
TAINTS = {
    1: "F: a module was forced to load",
    2: "S: the CPUs are out of specification",
    3: "R: a module was forced to unload",
    4: "M: a machine check",
    5: "B: a bad page",
    6: "U: user land asked for it",
    7: "D: the kernel died (oops or BUG)",
    8: "A: an ACPI table was overridden",
    9: "W: a warning",
    11: "I: firmware trouble",
    14: "L: a soft lockup",
}
"""What bits of the taint mask mean trouble; the others say where modules come from, or that a test ran (N: KUnit)."""
KNOWN_NOISE = re.compile(r"FAULT_INJECTION: forcing a failure")
ASKED_FOR = re.compile(r"sysrq: |task:\S.* state:\S")
"""Traces that somebody asked for: sysrq t, w, l, p."""


@dataclass
class _Block:
    rule: Rule
    title: str
    lines: list[str] = field(default_factory=list)
    traced: bool = False
    wanted: bool = True


def parse_klog(text: str, source: str = "console") -> tuple[Finding, ...]:
    """Every complaint in a console log, `dmesg` or kmsg texts, in order; `source` names the log in complaints without words."""
    lines = [STAMP.sub("", line.rstrip("\r")) for line in text.splitlines()]
    findings: list[Finding] = []
    for block in _blocks(lines, source):
        finding = _finding(block)
        if finding.kind == "oom" and findings and findings[-1].kind == "oom":
            continue  # one shortage says several things
        if finding.fatal and not any(FRAME.match(line) for line in finding.detail):
            finding = _with_cause(finding, findings)
        findings.append(finding)
    return tuple(findings)


def parse_kmsg(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The records of /dev/kmsg (Documentation/ABI/testing/dev-kmsg) as lines of text, and what is missing, in words."""
    lines: list[str] = []
    gaps: list[str] = []
    expected = 0
    for raw in text.splitlines():
        head = re.match(r"(\d+),(\d+),(\d+),[^;]*;(.*)", raw)
        if head is None:
            if raw and not raw.startswith(" "):
                gaps.append(f"a record that does not read: {raw[:80]!r}")
            continue
        number = int(head[2])
        if number != expected:
            gaps.append(f"records {expected} to {number - 1} are missing")
        expected = number + 1
        lines.append(re.sub(r"\\x([0-9a-f]{2})", lambda code: chr(int(code[1], 16)), head[4]))
    return tuple(lines), tuple(gaps)


def parse_taint(number: int) -> str:
    """The flags of /proc/sys/kernel/tainted (Documentation/admin-guide/tainted-kernels.rst) that tell of trouble, in words."""
    return ", ".join(words for bit, words in TAINTS.items() if number >> bit & 1)


def _blocks(lines: Sequence[str], source: str) -> Iterator[_Block]:
    """Cut the log into splats."""
    block: _Block | None = None
    for number, line in enumerate(lines):
        rule = _named(line)
        if block is not None and not _belongs(block, line, rule):
            if block.wanted:
                yield block
            block = None
        if block is None:
            block = _opened(rule, line, lines[max(0, number - 6) : number], source)
        if block is not None:
            _extend(block, line, rule)
            if END.search(line) or len(block.lines) >= (LONGEST if block.traced else LONGEST_UNTRACED):
                if block.wanted:
                    yield block
                block = None
    if block is not None and block.wanted:
        yield block


def _named(line: str) -> Rule | None:
    return next((rule for rule in RULES if rule.pattern.search(line)), None)


def _opened(rule: Rule | None, line: str, before: Sequence[str], source: str) -> _Block | None:
    """A new splat that begins at this line, if one does."""
    if KNOWN_NOISE.search(line):
        return _Block(Rule("noise", KNOWN_NOISE), line, wanted=False)
    if rule is not None:
        return _Block(rule, line.strip())
    if CUT_HERE in line:
        return _Block(Rule("warn", TRACE), f"a splat begins, and the {source} log ends or goes on without its name")
    if TRACE.match(line):
        asked = any(ASKED_FOR.search(earlier) for earlier in before)
        words = [earlier.strip() for earlier in before if not PART.match(earlier)]
        title = f"a stack trace that nothing names, after: {words[-1] if words else 'nothing'}"
        return _Block(Rule("trace", TRACE), title, wanted=not asked)
    return None


def _belongs(block: _Block, line: str, rule: Rule | None) -> bool:
    if CUT_HERE in line:
        return False
    if rule is not None:
        nameless = block.rule.pattern is TRACE and not block.traced
        akin = rule.kind == block.rule.kind or block.rule.kind in BEFORE_TRACE.get(rule.kind, set())
        return nameless or (akin and not block.traced) or (rule.kind == block.rule.kind == "panic")
    return not block.traced or bool(PART.match(line) or FRAME.match(line) or END.search(line))


def _extend(block: _Block, line: str, rule: Rule | None) -> None:
    if rule is not None and block.rule.pattern is TRACE and block.rule.kind == "warn":
        block.rule, block.title = rule, line.strip()
    block.traced = block.traced or bool(TRACE.match(line))
    block.lines.append(line)


def _finding(block: _Block) -> Finding:
    kind = block.rule.kind
    return Finding(kind, block.title, fingerprint(kind, block.title, block.lines), tuple(block.lines), fatal=block.rule.fatal)


def fingerprint(kind: str, title: str, lines: Sequence[str]) -> str:
    """Kind and first functions of the trace, without those every splat has; without a trace, the title without its numbers."""
    at = [match["function"] for line in lines if (match := RIP.match(line))][:1]
    start = next((number for number, line in enumerate(lines) if TRACE.match(line)), 0)
    frames = [match["function"] for line in lines[start:] if (match := FRAME.match(line)) and not match["guess"]]
    named = list(dict.fromkeys(name for name in [*at, *frames] if not NOISE.match(name)))[:FUNCTIONS]
    return ":".join([kind, *(named or [re.sub(r"0x[0-9a-f]+|\d+", "N", title)])])


def _with_cause(panic: Finding, earlier: Sequence[Finding]) -> Finding:
    """A panic without a trace of its own (fatal exception) with that of the oops before it."""
    cause = next((found for found in reversed(earlier) if found.kind in ("oops", "bug", "kasan", "warn")), None)
    if cause is None:
        return panic
    functions = cause.fingerprint.partition(":")[2]
    return Finding(panic.kind, panic.title, f"{panic.kind}:{functions}", (*panic.detail, cause.title, *cause.detail), panic.fatal)
