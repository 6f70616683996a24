"""What is here: the answer of plain ./inv."""

from __future__ import annotations

from lab.campaign.rundir import RunDir
from lab.campaign.session import Lab, TableRows
from lab.errors import LabError
from lab.kernel.kconfig import list_kconfigs
from lab.kernel.series import list_series, read_series
from lab.measure.payload import list_payloads


def overview(lab: Lab) -> tuple[TableRows, ...]:
    """Tables of series, the other named things, the last run and the next command."""
    default = lab.settings.default
    names = (
        ("kconfig", ", ".join(list_kconfigs(lab.root / "kconfigs")), default.kconfig),
        ("guest", ", ".join(lab.settings.guest), default.guest),
        ("payload", ", ".join(list_payloads(lab.root / "payloads")), ", ".join(default.payloads)),
        ("matrix", ", ".join(lab.settings.matrix), "default"),
    )
    series = tuple((name, _summary(lab, name)) for name in list_series(lab.root / "patches"))
    return (
        (f"series (default: {default.series})", ("name", "what it does"), series),
        ("named things", ("kind", "there are", "default"), names),
        ("last run", ("run", "command", "status"), (_last(lab),)),
        ("next", ("command", "what it does"), _next(lab)),
    )


def _summary(lab: Lab, name: str) -> str:
    try:
        return read_series(lab.root / "patches" / name).summary
    except LabError as error:
        return f"unreadable: {error.message.splitlines()[0]}"


def _last(lab: Lab) -> tuple[str, ...]:
    latest = lab.reports / "latest"
    if not latest.exists():
        return ("none", "", "")
    results = RunDir(latest.resolve()).read_results()
    return results.run, results.command, str(results.status)


def _next(lab: Lab) -> tuple[tuple[str, ...], ...]:
    if (lab.reports / "latest").exists():
        return (("./inv bench --series NAME", "measure another series"), ("./inv report", "show the last run again"))
    return (("./inv doctor", "see what this host lacks"), ("./inv build boot bench", "the default series"))
