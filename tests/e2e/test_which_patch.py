"""Bisections of real kernels: six patches, one of which costs an instruction or panics under a payload. Long."""

from __future__ import annotations

import pytest
from conftest import ROOT, inv

pytestmark = pytest.mark.full
SERIES = "tests/data/series"


def test_one_instruction_is_named_with_its_delta_in_four_builds_after_the_ends() -> None:
    line = inv("bisect", "--series", f"{ROOT}/{SERIES}/one-instruction-of-six", "--payload", "pingpong", "--fresh")

    found = line.results["bisection"]
    (culprit,) = found["culprits"]
    assert (line.code, culprit["k"], culprit["reverted"]) == (0, 4, "gone")
    assert culprit["after"][0] - culprit["before"][0] == 2  # two reads a round trip
    kernels = {(look["k"], tuple(look["without"])) for look in found["looks"]}
    assert len(kernels - {(0, ()), (6, ())}) <= 4
    assert "0003-kernel-sys-take-the-size-of-what-is-cleared.patch" in found["inert"] or len(kernels) < 6


def test_a_panic_under_a_payload_is_followed_to_its_patch() -> None:
    line = inv("bisect", "--series", f"{ROOT}/{SERIES}/panic-of-six", "--payload", "pingpong", "--fresh")

    found = line.results["bisection"]
    (culprit,) = found["culprits"]
    assert (line.code, culprit["k"], culprit["reverted"]) == (0, 3, "gone")
    assert found["subject"]["name"].startswith("panic:")


def test_the_price_list_names_the_one_patch_that_costs() -> None:
    line = inv("bisect", "--series", f"{ROOT}/{SERIES}/one-instruction-of-six", "--payload", "pingpong", "--profile")

    (prices,) = line.results["prices"]
    costly = [patch["k"] for patch in prices["patches"] if any(row["verdict"] == "MORE" for row in patch["rows"])]
    assert (line.code, costly) == (0, [4])
    assert [patch["text"] for patch in prices["patches"]][3] == 1
    assert {patch["k"] for patch in prices["patches"] if patch["inert"]} >= {1, 6}
