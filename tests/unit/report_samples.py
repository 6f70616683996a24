"""Results to render: one of everything a report has to show."""

from __future__ import annotations

from dataclasses import replace

from lab.model.judgement import Comparison, Spread, Verdict
from lab.model.machine import Accel
from lab.model.outcome import Case, Finding, Milestone, Status
from lab.model.run import BuildRecord, JobResult, Results, Role

ACCEL = Accel("tcg", True, "a kernel booted under TCG in 4.1 s; /dev/kvm hung for 20 s", "7.2.22")


def spread(*values: float) -> Spread:
    return Spread(sorted(values)[len(values) // 2], len(values), values)


def row(
    metric: str,
    base: Spread,
    patched: Spread,
    verdict: Verdict,
    *,
    material: bool = False,
    note: str = "",
    payload: str = "pingpong",
) -> Comparison:
    delta = patched.median - base.median
    ratio = patched.median / base.median if base.median else None
    return Comparison(
        a="source", b="busted/one-instruction:1", payload=payload, kconfig="default", guest="single", metric=metric,
        unit="instructions", kind="exact", base=base, patched=patched, delta=delta, ratio=ratio, min_effect=0.005,
        verdict=verdict, material=material, note=note,
    )  # fmt: skip


EQUAL = row("unix_dgram/64/median", spread(12577, 12577), spread(12577, 12577), Verdict.EQUAL)
MORE = row("unix_stream/64/median", spread(14833, 14833), spread(14835, 14835), Verdict.MORE)
COSTLY = row("pipe/64/median", spread(10036, 10036), spread(12000.5, 12000.5), Verdict.MORE, material=True)
FEWER = row("futex/64/median", spread(9437, 9437), spread(9000, 9000), Verdict.FEWER, material=True)
WOBBLE = row("tcp/16384/median", spread(33769, 33770), spread(33770, 33773), Verdict.WOBBLE, note="timer tick inside the section")


def build(role: Role = "baseline", status: Status = Status.PASS, findings: tuple[Finding, ...] = ()) -> BuildRecord:
    series = () if role == "baseline" else ("busted/one-instruction",)
    return BuildRecord(
        role=role, series=series, upto=len(series), kconfig="default", key="k" * 32,
        tree="4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        release="6.12.117-virtme", status=status, seconds=31.4, reused=role == "baseline", objects=2271, findings=findings,
        options_delta=() if role == "baseline" else ("CONFIG_AGENT_LOCAL=y",),
    )  # fmt: skip


def job(number: int = 1, role: Role = "baseline", status: Status = Status.PASS, payload: str = "pingpong") -> JobResult:
    series = () if role == "baseline" else ("busted/one-instruction",)
    return JobResult(
        id=f"{payload or 'boot'}.one-instruction.k{len(series):02}.default.{role}.r{number:02}", series=series, upto=len(series),
        kconfig="default", guest="single", payload=payload, role=role, boot=number, status=status, seconds=9.5,
        cases=(Case("round trips", Status.PASS),) if payload else (),
        milestones=(Milestone("init", 1.5), Milestone("ssh", 2.3)), env={"mode": "exact"},
    )  # fmt: skip


PANIC = Finding(
    "panic", "Kernel panic - not syncing: busted on purpose", "panic:busted_init:do_one_initcall",
    ("Call Trace:", " busted_init+0x11/0x20 (lib/busted.c:12)", " do_one_initcall+0x58/0x2b0 (init/main.c:1269)"),
)  # fmt: skip


def results(**changes: object) -> Results:
    whole = Results(
        run="20260101-120000-42", command="./inv bench --series busted/one-instruction", status=Status.PASS,
        exit=0, started="2026-01-01T12:00:00Z", seconds=81.25, source="linux-source-6.12 6.12.117-1~deb12u1", accel=ACCEL,
        env={"qemu": "7.2.22"},
        builds=(build(), build("patched")), jobs=tuple(job(n, role) for role in ("baseline", "patched") for n in (1, 2)),
        comparisons=(EQUAL, MORE), stages=(Milestone("build", 31.4), Milestone("bench", 38.0)),
    )  # fmt: skip
    return replace(whole, **changes)  # type: ignore[arg-type]  # the tests name fields of Results


def failing(status: Status = Status.FAIL, exit_code: int = 1) -> Results:
    dead = replace(job(1, "patched", status), message="kernel panic 1.9 s after power-on\nlast lines: ...", findings=(PANIC,))
    return results(
        status=status, exit=exit_code, jobs=(job(), dead, replace(dead, id=dead.id[:-1] + "2", boot=2)), comparisons=()
    )
