"""payload.toml: what it may say, and the messages when it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.cache import Cache
from lab.errors import UsageError
from lab.measure.payload import (
    Declaration,
    DeclaredMetric,
    check_declaration,
    expand,
    list_payloads,
    missing_options,
    read_payload,
)
from lab.model.run import PayloadSpec
from lab.toml import parse_toml

PAYLOADS = Path(__file__).parents[2] / "payloads"
HERE = list_payloads(PAYLOADS)
SMALL = """
summary = "a test"
command = ["./x"]
[variants]
transport = ["udp", "tcp"]
size = ["64", "4096"]
[[metrics]]
name = "{transport}.{size}"
unit = "insn"
kind = "exact"
[[metrics]]
name = "{transport}.{size}.retries"
unit = "packets"
kind = "count"
"""


def declared(text: str = SMALL) -> Declaration:
    return parse_toml(text, Declaration, "payload.toml")


def test_the_payloads_that_are_here() -> None:
    assert {"agent-loop", "branchpath", "pingpong", "quiet", "quiet-plain", "same-host", "spawn", "syscall"} <= set(HERE)
    assert {"rate", "burst", "conn", "mix", "servers"} <= set(HERE)
    assert list(HERE) == sorted(HERE)


def test_one_metric_for_every_combination_and_a_total_for_every_counted_one() -> None:
    names = [metric.name for metric in expand(declared())]

    assert names[:3] == ["udp.64", "udp.64.total", "udp.64.retries"]
    assert len(names) == 12


def test_a_metric_varies_by_the_fields_its_name_holds() -> None:
    names = [metric.name for metric in expand(declared(SMALL + '[[metrics]]\nname = "{size}.idle"\nunit="s"\nkind="info"\n'))]

    assert names[-2:] == ["64.idle", "4096.idle"]
    assert len(names) == 14


def test_a_metric_and_the_section_it_is_net_of_vary_together() -> None:
    text = SMALL + '[[metrics]]\nname = "all.{size}"\nunit = "insn"\nkind = "exact"\nper = 10\nnet_of = "begin.{size}"\n'
    all_, total = [metric for metric in expand(declared(text)) if metric.name.startswith("all.4096")]

    assert (all_.net_of, all_.per) == ("begin.4096", 10)
    assert (total.net_of, total.per) == ("", 1)


@pytest.mark.parametrize("name", HERE)
def test_every_declaration_here_is_good(name: str) -> None:
    text = (PAYLOADS / name / "payload.toml").read_text()

    check_declaration(declared(text), name, name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"command": ()}, "command: is empty"),
        ({"metrics": ()}, "a bench declares at least one"),
        ({"options": ("UNIX=y",)}, "`UNIX=y` is not CONFIG_NAME=value"),
        ({"timeout_s": 0.0}, "timeout_s: 0"),
        ({"metrics": (DeclaredMetric("x", "bios", "count", waits=True),)}, "`x`: only an exact row waits"),
        ({"metrics": (DeclaredMetric("x", "bios", "count", per=2),)}, "`x`: only an exact row waits, is of one of several"),
        ({"metrics": (DeclaredMetric("x", "ns", "sample", net_of="y"),)}, "or net of another section"),
        ({"metrics": (DeclaredMetric("x", "insn", "exact", per=0),)}, "`x`: per: 0 is no number of operations"),
        ({"metrics": (DeclaredMetric("x", "insn", "exact", waits=True, net_of="y"),)}, "net of nothing but the bracket"),
        ({"tools": ("agent_net.so",)}, "tools: `agent_net.so` is not DIRECTORY/FILE"),
        ({"tools": ("../agent-net/agent_net.so",)}, "is not DIRECTORY/FILE"),
        ({"variants": {"transport": ("udp",)}}, "not under [variants]: 'size'"),
        ({"variants": {"transport": ("udp", "udp"), "size": ("64",)}}, "`udp.64` is declared twice"),
    ],
)
def test_what_a_declaration_may_not_say(change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_declaration(replace(declared(), **change), "x", "payloads/x/payload.toml")  # type: ignore[arg-type]

    assert message in caught.value.message
    assert caught.value.message.startswith("payloads/x/payload.toml: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALL.replace("summary", "sumary", 1), "sumary: unknown key"),
        (SMALL + "min_efect = 0.1\n", "min_efect: unknown key"),
        (SMALL.replace('"exact"', '"exacter"'), "metrics.0.kind"),
        ("summary = ", "not TOML"),
    ],
)
def test_a_typo_is_an_error_that_names_it(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        declared(text)

    assert message in caught.value.message


def test_a_name_that_is_not_lower_case_is_refused() -> None:
    with pytest.raises(UsageError, match="Ping"):
        check_declaration(declared(), "Ping", "x")


@pytest.mark.parametrize(("name", "hint"), [("pingpon", "did you mean pingpong?"), ("zzz", f"payloads: {', '.join(HERE)}")])
def test_an_unknown_payload(name: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_payload(PAYLOADS, name, Cache(tmp_path))

    assert caught.value.hint == hint


def test_missing_options() -> None:
    spec = PayloadSpec("x", "", Path(), "", ("./x",), (), options=("CONFIG_UNIX=y", "CONFIG_INET=y"))

    assert missing_options(spec, "CONFIG_UNIX=y\nCONFIG_INET=m\n") == ("CONFIG_INET=y",)
    assert missing_options(spec, "# CONFIG_UNIX is not set\nCONFIG_INET=y\n") == ("CONFIG_UNIX=y",)
    assert missing_options(spec, "CONFIG_UNIX=y\nCONFIG_INET=y\n") == ()
