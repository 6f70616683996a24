"""What kselftest is asked for, and what it says no to before anything is built or booted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.campaign import kselftest
from lab.campaign.kselftest import borrowed, check_known, lacking, wanted
from lab.campaign.plan import Ask, Side
from lab.campaign.rounds import Sided
from lab.campaign.session import Lab
from lab.errors import UsageError
from lab.events import silent
from lab.kernel.selftests import Selftests, Want, parse_wants
from lab.model.change import Build, Kconfig
from lab.model.machine import Accel
from lab.model.matrix import OWN
from lab.model.run import PayloadSpec, Role

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return Lab(ROOT, silent, [])


def built(*tests: str, unbuilt: tuple[str, ...] = (), directory: Path = Path()) -> Selftests:
    return Selftests(directory, "k", tests, dict.fromkeys(unbuilt, "x.c:1: error: no"))


@pytest.mark.parametrize(
    ("words", "wants"),
    [
        ("futex", [Want("futex")]),
        ("net:tls,net:tun futex", [Want("net", ("tls", "tun")), Want("futex")]),
        ("net:tls net", [Want("net")]),
        ("net/af_unix:diag_uid, ", [Want("net/af_unix", ("diag_uid",))]),
        ("net:tls,net:tls", [Want("net", ("tls",))]),
        (" , ", []),
    ],
)
def test_targets_and_their_tests(words: str, wants: list[Want]) -> None:
    assert list(parse_wants(words)) == wants


def test_own_is_what_the_series_declares(lab: Lab) -> None:
    assert wanted(lab, Ask(series="xdp-cgroup-id"), OWN) == (Want("bpf", ("test_xdp_sk_cgroup_id",)),)


@pytest.mark.parametrize(
    ("ask", "target", "said"),
    [
        (Ask(series="null"), OWN, "null declares no self-tests"),
        (Ask(kernel="bzImage"), "futex", "--kernel has none"),
        (Ask(series="null"), ",", "TARGET or TARGET:TEST"),
        (Ask(series="null", words="-t x"), "mm", "--words is for a single test, and mm may be several"),
        (Ask(series="null", words="-t x"), "net:tls,net:tun", "--words is for a single test"),
    ],
)
def test_what_cannot_be_asked_for(lab: Lab, ask: Ask, target: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        wanted(lab, ask, target)


@pytest.mark.parametrize(
    ("words", "said"),
    [("moon", "no self-tests moon in either tree"), ("net:tls,net:moon", "no self-test net:moon in either tree")],
)
def test_what_neither_tree_has_is_no_test(words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_known(parse_wants(words), [built("net:tls"), built("net:tls")])


def test_words_for_a_test_that_its_target_does_not_have_are_a_typo() -> None:
    sides = [built("net:tls"), built("net:tls")]

    check_known(parse_wants("net"), sides, ["net:tls", "mm:elsewhere"])
    with pytest.raises(UsageError, match="no self-test net:tsl in either tree") as caught:
        check_known(parse_wants("net"), sides, ["net:tsl"])
    assert "[selftests] in lab.toml" in f"{caught.value}"


def test_a_test_gets_the_words_of_lab_toml_as_the_kernels_runner_would_give_them(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"mm:run-it.sh": ("-t", "a b"), "net:tls": ("-x",)}
    monkeypatch.setattr(lab, "settings", replace(lab.settings, selftests=given))
    monkeypatch.setattr(lab, "accel", lambda ask: Accel("tcg", proven=True, evidence="", qemu_version=""))
    side = Side("patched", (), None, Kconfig("default", ()))

    command = kselftest.tests_payload(lab, Ask(), built("mm:run-it.sh", "mm:other"), side, 0).command
    assert command[:2] == ("env", "KSELFTEST_RUN_IT_SH_ARGS=-t 'a b'")
    assert command[2:] == ("sh", "./kselftest.sh", "/dev/kmsg", "4", "0", "mm:run-it.sh", "mm:other")
    assert kselftest.tests_payload(lab, Ask(), built("mm:other"), side, 0).command[0] == "sh"
    asked = kselftest.tests_payload(lab, Ask(words="100 'a b'"), built("mm:run-it.sh"), side, 0)
    assert asked.command[1] == "KSELFTEST_RUN_IT_SH_ARGS=100 'a b'"
    with pytest.raises(UsageError, match=r"--words .*No closing quotation"):
        kselftest.tests_payload(lab, Ask(words="'"), built("mm:run-it.sh"), side, 0)


@pytest.mark.parametrize(
    "sides", [[built(), built("net:new")], [built("net:new"), built()], [built(unbuilt=("net:new",)), built()]]
)
def test_one_tree_that_has_it_is_enough(sides: list[Selftests]) -> None:
    check_known(parse_wants("net:new"), sides)


def sided(role: Role, *tests: str) -> Sided:
    payload = PayloadSpec(
        "kselftest", "", Path(), role, ("sh", "./kselftest.sh", *tests), (), kind="kselftest", unbuilt={"t:c": "no"}
    )
    kernel = Build(role, Path(), "6.12", "t", "default", "h", ("gcc",))
    return Sided(Side(role, (), None, Kconfig("default", ())), kernel, payload, tests)


def test_new_tests_are_also_run_on_the_kernel_without_the_series() -> None:
    sides = [sided("baseline", "t:old"), sided("patched", "t:old", "t:new")]
    (third,) = borrowed(sides, [built("t:old"), built("t:old", "t:new")])

    assert (third.side.role, third.kernel.key, third.payload.name) == ("baseline", "baseline", "kselftest-new")
    assert (third.payload.hash, third.payload.command) == ("patched", ("sh", "./kselftest.sh", "t:new"))
    assert third.payload.unbuilt == {}


def test_without_new_tests_there_are_two_sides() -> None:
    sides = [sided("baseline"), sided("patched", "t:old")]

    assert borrowed(sides, [built(unbuilt=("t:old",)), built("t:old")]) == []


def test_options_that_a_target_asks_for_and_the_kernel_lacks_are_named(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "config").write_text("CONFIG_VETH=y\nCONFIG_IPV6=y\n# comment\n")
    config = tmp_path / "config"
    config.write_text("CONFIG_VETH=y\n")
    notes = list(lacking(built("net:tun", directory=tmp_path), config, parse_wants("net:tun futex")))

    assert notes == ["kselftest: the kernel lacks options that net/config asks for: CONFIG_IPV6=y; --set adds them"]
