"""One kernel booted many times: rows that are the same to the instruction, and what the lab says of those that are not there."""

from __future__ import annotations

from conftest import inv


def test_every_row_of_syscall_is_the_same_in_three_cold_boots() -> None:
    line = inv("determinism", "--payload", "syscall", "--boots", "3", "--strict")

    rows = {row["metric"]: row for row in line.results["steadiness"]}
    assert line.code == 0, line.text[-3000:]
    assert set(rows) == {"getpid", "read-zero.64", "write-null.64", "page-fault"}
    assert all(row["verdict"] == "EQUAL" and len(row["values"]) == len(row["digests"]) == 3 for row in rows.values())
    assert "all 4 rows EQUAL in 3 cold boots" in line.text


def test_only_the_named_row_is_looked_at() -> None:
    line = inv("determinism", "--payload", "syscall", "--row", "getpid", "--boots", "2")

    assert [row["metric"] for row in line.results["steadiness"]] == ["getpid"]
    assert line.code == 0


def test_what_counts_nothing_and_rows_that_do_not_exist_are_refused() -> None:
    assert "no row is counted" in inv("determinism", "--payload", "quiet").text
    assert inv("determinism", "--payload", "quiet").code == 2
    assert "no counted row is called getppid" in inv("determinism", "--payload", "syscall", "--row", "getppid").text
    assert inv("determinism", "--boots", "1").code == 2


def test_a_kernel_that_wobbles_is_called_so_and_by_the_function_that_does() -> None:
    named = "unix-seqpacket.64,pipe.64"
    line = inv("determinism", "--series", "busted/wobbles", "--payload", "pingpong", "--row", named, "--boots", "6", "--strict")

    rows = {row["metric"]: row for row in line.results["steadiness"]}
    assert (line.code, line.results["status"]) == (1, "FAIL")
    assert rows["pipe.64"]["verdict"] == "EQUAL"
    assert rows["unix-seqpacket.64"]["verdict"] == "WOBBLE"
    cause = rows["unix-seqpacket.64"]["cause"]
    differ = {one["name"] for one in cause["functions"] if abs(one["delta"]) >= 0.5}
    assert differ == {"unix_seqpacket_sendmsg"}
    assert "unix_seqpacket_sendmsg" in line.text
