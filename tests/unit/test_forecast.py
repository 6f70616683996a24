from __future__ import annotations

from collections import defaultdict

from test_cells import plan

from lab.campaign.forecast import Times, forecast
from lab.model.matrix import Kernel

TIMES = Times(cold=defaultdict(lambda: 500.0), further=defaultdict(lambda: 50.0, debug=100.0), boot=defaultdict(lambda: 10.0))
WHOLE = plan(series=("short", "long"), upto="all", kconfigs=("default", "debug"), payloads=("any",))
"""9 kernels a kconfig: two baselines, one of short, six of long."""


def test_builds_are_counted_once_and_the_first_of_a_slot_is_cold() -> None:
    seen = forecast(WHOLE, {"any": (2, 2)}, TIMES, built=(), slots=(), width=2)

    assert (seen.builds, seen.build_s, seen.first_s) == (18, 500 + 8 * 50 + 500 + 8 * 100, 500)
    assert (seen.boots, seen.boot_s) == (2 * 2 * 9, 10 * 2 * 2 * 9 / 2)
    assert seen.seconds == seen.build_s  # boots go on beside them


def test_what_is_there_takes_no_time() -> None:
    seen = forecast(WHOLE, {"any": (2, 2)}, TIMES, built=WHOLE.kernels, slots=(), width=1)

    assert (seen.builds, seen.first_s, seen.seconds) == (0, 0.0, seen.boot_s)


def test_a_slot_that_is_there_makes_no_build_cold() -> None:
    seen = forecast(WHOLE, {"any": (2, 2)}, TIMES, built=(Kernel((), 0, "default"),), slots=("default", "debug"), width=2)

    assert (seen.builds, seen.build_s) == (17, 8 * 50 + 9 * 100)
