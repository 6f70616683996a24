from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.formats.klog import parse_klog, parse_kmsg

DATA = Path(__file__).parents[1] / "data" / "klog"
LOGS = {path.stem: path.read_text() for path in sorted(DATA.glob("*.log"))}
EXPECTED = {
    "asked-for": [],
    "atomic": ["atomic:fake_sleep:vfs_write", "atomic:fake_lock"],
    "bug-on": ["bug:fake_bug:vfs_write"],
    "clean-boot": [],
    "hung-task": ["hung-task:fake_wait:vfs_write"],
    "kasan": ["kasan:kmalloc_oob_right:kmalloc_tests_init:do_one_initcall:do_init_module:load_module"],
    "kcsan": ["kcsan:test_kernel_write:access_thread:test_kernel_read"],
    "lost-interrupt": ["lost-interrupt:nvme nvmeN: I/O tag N (N) QID N timeout, completion polled"],
    "lockdep": ["lockdep:fake_take:fake_write:vfs_write:ksys_write"],
    "lockdep-rcu": ["lockdep:fake_look:vfs_read"],
    "oom": ["oom:rep_stos_alternative:dump_header:oom_kill_process:out_of_memory:__alloc_pages_slowpath.constprop.0"],
    "oops-then-panic": ["oops:fake_store:vfs_write:ksys_write", "panic:fake_store:vfs_write:ksys_write"],
    "panic-no-root": ["panic:mount_root_generic:prepare_namespace:kernel_init"],
    "panic-sysrq": ["panic:sysrq_handle_crash:__handle_sysrq:write_sysrq_trigger:proc_reg_write:vfs_write"],
    "rcu-stall": ["rcu-stall:fake_read:proc_reg_read:vfs_read:ksys_read"],
    "soft-lockup": ["soft-lockup:fake_read:vfs_read:ksys_read"],
    "trace-without-name": ["trace:fake_dump:vfs_write"],
    "ubsan": ["ubsan:fake_shift:do_one_initcall:kernel_init_freeable:kernel_init"],
    "warn-twice": ["warn:refcount_warn_saturate:fake_put:vfs_write", "warn:fake_check:vfs_read"],
}
BAD = sorted(name for name, found in EXPECTED.items() if found)
NAMED = [name for name in BAD if name != "trace-without-name"]


def fingerprints(text: str) -> list[str]:
    return [finding.fingerprint for finding in parse_klog(text)]


def test_every_golden_log_has_its_expectation() -> None:
    assert LOGS.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", LOGS)
def test_a_golden_log_gives_what_it_holds(name: str) -> None:
    assert fingerprints(LOGS[name]) == EXPECTED[name]


@pytest.mark.parametrize("name", LOGS)
def test_stamps_callers_and_carriage_returns_change_nothing(name: str) -> None:
    dressed = "".join(f"[    1.000000][  T71] {line.partition('] ')[2] or line}\r\n" for line in LOGS[name].splitlines())
    assert fingerprints(dressed) == EXPECTED[name]


@given(st.sampled_from(BAD), st.integers(min_value=0))
def test_a_log_cut_anywhere_keeps_what_is_named_before_the_cut(name: str, at: int) -> None:
    cut = LOGS[name][: at % (len(LOGS[name]) + 1)]
    kept = {finding.title for finding in parse_klog(cut)}
    whole_lines = cut.rpartition("\n")[0]
    for finding in parse_klog(LOGS[name]):
        if finding.title in whole_lines:
            assert finding.title in kept


@given(st.sampled_from(NAMED), st.integers(min_value=0))
def test_a_log_whose_beginning_is_lost_still_complains_of_a_whole_splat(name: str, at: int) -> None:
    log = LOGS[name]
    title = parse_klog(log)[-1].title
    start = at % (log.index(title) + 1)
    assert any(finding.title.endswith(title) for finding in parse_klog(log[start:]))


@given(st.sampled_from(BAD), st.lists(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=60), max_size=5))
def test_whatever_user_land_prints_around_a_splat_does_not_hide_it(name: str, lines: list[str]) -> None:
    noise = "".join(f"user: {line.splitlines()[0] if line.splitlines() else ''}\n" for line in lines)
    kinds = {finding.kind for finding in parse_klog(noise + LOGS[name] + "\n" + noise)}
    assert {fingerprint.partition(":")[0] for fingerprint in EXPECTED[name]} <= kinds


@given(st.text())
def test_no_text_breaks_the_parsers(text: str) -> None:
    parse_klog(text)
    parse_kmsg(text)


def test_a_splat_that_only_begins_is_a_finding() -> None:
    (finding,) = parse_klog("[    1.0] ------------[ cut here ]------------\n")
    assert (finding.kind, finding.fatal) == ("warn", False)
    assert "without its name" in finding.title


def test_only_a_panic_is_fatal() -> None:
    assert [finding.fatal for finding in parse_klog(LOGS["oops-then-panic"])] == [False, True]


def test_a_panic_by_an_oops_shows_the_stack_of_the_oops() -> None:
    panic = parse_klog(LOGS["oops-then-panic"])[1]
    assert "RIP: 0010:fake_store+0x7/0x20" in panic.detail


def test_a_title_is_the_naming_line() -> None:
    assert parse_klog(LOGS["bug-on"])[0].title == "kernel BUG at fs/fake.c:33!"


def test_without_a_trace_the_numbers_of_the_title_do_not_count() -> None:
    one, other = (
        parse_klog(f"BUG: Bad rss-counter state mm:{at} type:MM_ANONPAGES val:{at}") for at in ("0xffff8880", "0xffff9990")
    )
    assert one[0].fingerprint == other[0].fingerprint


KMSG = "6,0,0,-;Linux version\n SUBSYSTEM=x\n4,1,5,-;a \\x41 tab\\x09\n6,2,9,c,caller=T1;last\n"


def test_kmsg_records_become_lines() -> None:
    assert parse_kmsg(KMSG) == (("Linux version", "a A tab\t", "last"), ())


@pytest.mark.parametrize(
    ("text", "gap"),
    [
        (KMSG.replace(",1,5", ",4,5").replace(",2,9", ",5,9"), "records 1 to 3 are missing"),
        (KMSG.partition("\n")[2], "records 0 to 0 are missing"),
        (KMSG + "half a reco", "a record that does not read: 'half a reco'"),
    ],
)
def test_what_kmsg_lost_is_told(text: str, gap: str) -> None:
    assert gap in parse_kmsg(text)[1]
