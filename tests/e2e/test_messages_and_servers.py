"""SO_AGENT_LOCAL below streams, bursts, connections, many agents and servers that nobody changed; and two equal kernels."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Line, inv

SHAPES = "rate,burst,conn,mix"


def rows(line: Line) -> dict[str, dict[str, Any]]:
    """The comparisons by `payload metric`."""
    return {f"{row['payload']} {row['metric']}": row for row in line.results["comparisons"]}


def unnamed(line: Line) -> list[dict[str, Any]]:
    """What an equal kernel must not show: a row that is apart, or one that wobbles for a reason nobody has written down."""
    exact = [row for row in line.results["comparisons"] if row["kind"] == "exact"]
    return [row for row in exact if row["verdict"] in ("MORE", "FEWER") or "the leak is not known" in row["note"]]


@pytest.mark.full
def test_messages_go_by_rings_where_the_series_is_and_cost_nobody_else_more(default_run: Line) -> None:
    line = inv("bench", "--series", "agent-local", "--payload", SHAPES)

    found = rows(line)
    assert line.code == 0, line.text[-3000:]
    for name, of_tcp in (("burst {}.64", 0.3), ("mix {}", 0.7), ("rate {}.512", 0.3)):
        ring, tcp = found[name.format("tcp-agent")], found[name.format("tcp")]
        assert ring["note"].startswith("new on reserve+agent-local; skipped on reserve: the kernel has no SO_AGENT_LOCAL"), ring[
            "note"
        ]
        assert ring["patched"]["median"] < of_tcp * tcp["patched"]["median"]


@pytest.mark.full
def test_two_equal_kernels_carry_messages_alike(default_run: Line) -> None:
    line = inv("bench", "--series", "null", "--payload", SHAPES)

    assert line.code == 0, line.text[-3000:]
    assert not unnamed(line)


@pytest.mark.full
def test_servers_that_nobody_changed_go_by_rings_with_the_trees_own_preload(default_run: Line) -> None:
    line = inv("bench", "--series", "agent-local", "--payload", "servers")

    found = rows(line)
    assert line.code == 0, line.text[-3000:]
    for name in ("redis.{}.1", "redis.{}.50", "http.{}.10"):
        preload, tcp = found["servers " + name.format("preload")], found["servers " + name.format("tcp")]
        assert "this kernel's tree has no tools/agent-net" in preload["note"]
        assert preload["patched"]["median"] < tcp["patched"]["median"]


@pytest.mark.full
def test_two_equal_kernels_serve_alike(default_run: Line) -> None:
    line = inv("bench", "--series", "null", "--payload", "servers")

    assert line.code == 0, line.text[-3000:]
    assert not unnamed(line)
