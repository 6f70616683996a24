"""What a matrix will take, from what such things took before: a forecast, never a verdict. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lab.model.matrix import Kernel, Plan


@dataclass(frozen=True)
class Times:
    """Seconds: a kernel in a new build slot and one patch further, by kconfig; one boot, by payload and kconfig."""

    cold: Mapping[str, float]
    further: Mapping[str, float]
    boot: Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Forecast:
    """How much there is to do, and about how long it takes."""

    builds: int
    """Kernels to build; the others are in the cache."""
    boots: int
    """Before any second look."""
    build_s: float
    boot_s: float
    """Of all boots, so many at a time as there are workers."""
    first_s: float
    """Of the first build, beside which nothing can run."""

    @property
    def seconds(self) -> float:
        """Builds and boots go on side by side, but for the first build."""
        return self.first_s + max(self.build_s - self.first_s, self.boot_s)


def forecast(
    plan: Plan,
    boots: Mapping[str, tuple[int, int]],
    times: Times,
    *,
    built: Collection[Kernel],
    slots: Collection[str],
    width: int,
) -> Forecast:
    """`boots`: by payload, on the baseline and on the patched side; `built`: kernels in the cache; `slots`: kconfigs with one."""
    known, seconds = set(slots), []
    for kernel in plan.kernels:
        if kernel not in built:
            seconds.append((times.further if kernel.kconfig in known else times.cold)[kernel.kconfig])
            known.add(kernel.kconfig)
    each: dict[tuple[str, ...], tuple[int, float]] = {}
    for cell in plan.cells:
        spent = times.boot[cell.payload, cell.kconfig]
        for side, kernel, count in zip(("base", "patched"), (cell.base, cell.patched), boots[cell.payload], strict=True):
            each[cell.payload, cell.guest, side, kernel.id] = (count, spent * count)
    return Forecast(
        builds=len(seconds),
        boots=sum(count for count, _ in each.values()),
        build_s=sum(seconds),
        boot_s=sum(spent for _, spent in each.values()) / width,
        first_s=next(iter(seconds), 0.0),
    )
