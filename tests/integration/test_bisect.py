"""Whole bisections of toy kernels: real make, git and workers, a fake QEMU."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fakeguest import FAKES
from kerneltree import git
from toylab import use_toys
from toyseries import Change, bisect, harmless, makes, toy_lab

from lab.campaign.again import recheck, rerun_verb
from lab.campaign.bisection import State
from lab.campaign.plan import Ask
from lab.campaign.rundir import RunDir
from lab.campaign.session import Lab
from lab.campaign.step import step_verb
from lab.errors import PatchError, UsageError
from lab.events import Event, Note
from lab.model.bisection import Bisection, Subject
from lab.model.outcome import Status
from lab.model.run import Results
from lab.model.wire import read_json

WARNS: Change = {"init/fake": ("ready", "ready,warn")}
PANICS: Change = {"init/fake": ("ready", "panic")}
MORE: Change = {"init/number": ("100\n", "107\n")}
EVEN_MORE: Change = {"init/number": ("107\n", "110\n")}
BROKEN: Change = {"fs/read_write.c": ("\tint ret;\n", "\tint ret = file->odd;\n")}
DOCUMENTED: Change = {"Documentation/reads.rst": ("", "Reads\n=====\n")}
COMMENTED: Change = {"fs/read_write.c": ("#define MAX", "/* at most */\n#define MAX")}


def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *changes: Change) -> Path:
    root = tmp_path / "lab"
    use_toys(monkeypatch, root)
    return toy_lab(root, changes)


def series(k: int, change: Change, of: int = 6) -> list[Change]:
    """`of` harmless changes with that one in place k."""
    return [change if number == k else harmless(number) for number in range(1, of + 1)]


def found(results: Results) -> Bisection:
    assert results.bisection is not None
    return results.bisection


def test_a_row_is_followed_to_its_patch_in_three_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, *series(4, MORE))
    told: list[Event] = []

    results = bisect(root, told, payload="reads")

    answer = found(results)
    (culprit,) = answer.culprits
    assert (answer.word, culprit.patch, answer.subject) == ("found", "0004-mine-step-4.patch", Subject("count", "reads"))
    assert ({*culprit.before}, {*culprit.after}, culprit.reverted) == ({100.0}, {107.0}, "gone")
    assert (results.status, results.exit) == (Status.PASS, 0)
    assert makes(root) <= 2 + 3 + 1
    forecasts = [event.text for event in told if isinstance(event, Note) and event.text.startswith("forecast: ")]
    assert "up to 6 to build" in forecasts[0]


@pytest.mark.parametrize(("change", "kind"), [(WARNS, "warn"), (PANICS, "panic"), (BROKEN, "build")])
def test_what_breaks_a_boot_or_a_build_is_found_by_its_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change, kind: str
) -> None:
    root = lab(tmp_path, monkeypatch, *series(3, change))

    answer = found(bisect(root, []))

    assert [one.k for one in answer.culprits] == [3]
    assert answer.subject is not None
    assert answer.subject.name.startswith(f"{kind}:")
    assert answer.culprits[0].reverted == "gone"


def test_two_patches_that_cost_are_named_with_their_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = [harmless(1), MORE, harmless(3), EVEN_MORE]
    root = lab(tmp_path, monkeypatch, *changes)

    answer = found(bisect(root, [], payload="reads"))

    assert (answer.word, answer.culprits[0].k) == ("found", 2)  # the fourth needs the second: it cannot be taken out
    assert answer.culprits[0].reverted == "untold"
    assert "0004" in answer.culprits[0].reason


def test_patches_that_change_nothing_that_runs_are_named_and_documentation_is_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = lab(tmp_path, monkeypatch, DOCUMENTED, COMMENTED, WARNS)

    answer = found(bisect(root, []))

    assert [one.k for one in answer.culprits] == [3]
    assert answer.inert == ("0001-mine-step-1.patch", "0002-mine-step-2.patch")
    assert makes(root) == 3  # the base, the second patch, the third


def test_the_log_leads_git_to_the_same_patch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, *series(2, WARNS, of=4))
    results = bisect(root, [])

    log = RunDir(root / "reports" / results.run).bisect_log
    (repository,) = (tmp_path / "cache" / "kernel-lab" / "source").glob("[!.]*/repository.git")
    git(tmp_path, "clone", "--quiet", str(repository), "clone")
    git(tmp_path / "clone", "fetch", "--quiet", "origin", "refs/lab/*:refs/lab/*")
    said = git(tmp_path / "clone", "bisect", "replay", str(log))

    assert "is the first bad commit" in said
    assert "mine: step 2" in said


def test_a_bisection_is_shown_and_judged_again_as_it_is_and_not_booted_as_a_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = lab(tmp_path, monkeypatch, harmless(1), WARNS)
    results = bisect(root, [])

    again = Lab(root, lambda event: None, ["recheck"])
    assert recheck(again, results.run)[1] == results
    with pytest.raises(UsageError, match="has many sides"):
        rerun_verb(again, Ask(), results.run)


def test_an_unbroken_series_names_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, harmless(1), harmless(2))

    results = bisect(root, [], payload="reads")

    assert (found(results).word, results.status, results.exit) == ("nothing", Status.FAIL, 1)


def test_a_series_that_does_not_apply_is_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, harmless(1), WARNS)
    (patch,) = (root / "patches" / "mine").glob("0002-*")
    patch.write_text(patch.read_text().replace("-ready", "-steady"))

    with pytest.raises(PatchError, match=r"0002-mine-step-2\.patch does not apply"):
        bisect(root, [])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"good": "2", "bad": "2"}, "0 <= GOOD < BAD"),
        ({"bad": "3"}, "mine has 2 patches"),
        ({"upto": "1"}, "--upto 1 does not go with this verb"),
        ({"kernel": "bzImage"}, "--kernel bzImage does not go"),
        ({"explain": True}, "--explain goes with --profile"),
        ({"row": "reads"}, "needs the --payload"),
        ({"payload": "reads", "row": "writes"}, "no row 'writes'"),
        ({"confidence": "1.5"}, "between 0.5 and 1"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], complaint: str
) -> None:
    root = lab(tmp_path, monkeypatch, harmless(1), WARNS)

    with pytest.raises(UsageError) as caught:
        bisect(root, [], **options)
    assert complaint in str(caught.value)


def test_a_killed_bisection_goes_on_and_comes_to_the_same_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, *series(4, MORE))
    words = [sys.executable, str(FAKES / "toyseries.py"), str(root), "payload=reads"]
    environment = {**os.environ, "PYTHONPATH": str(FAKES)}
    killed = 0
    for stop_at in (3, 6, 8):
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True, env=environment)
        assert process.stdout is not None
        jobs = 0
        for line in process.stdout:
            jobs += line.startswith("JobFinished")
            if jobs == stop_at:
                os.kill(process.pid, signal.SIGKILL)
                killed += 1
                break
        process.wait()
        process.stdout.close()
    before = makes(root)
    told: list[Event] = []

    results = bisect(root, told, payload="reads")

    assert killed
    assert [one.k for one in found(results).culprits] == [4]
    assert any(isinstance(event, Note) and event.text.startswith("going on with") for event in told)
    assert makes(root) - before <= 6
    states = [read_json(path, State) for path in (root / "reports").glob("2*/bisect.json")]
    assert [state.finished for state in states] == [True]  # one run all along


def test_anew_means_a_run_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, *series(2, BROKEN, of=3))

    first, second = bisect(root, []), bisect(root, [], fresh=True)

    assert first.run != second.run
    assert found(first).culprits == found(second).culprits


# --- step ------------------------------------------------------------------------------------------------------------------


def step(root: Path, values: str = "", **ask: str) -> int:
    return step_verb(Lab(root, lambda event: None, ["step"]), Ask(accel="tcg", **ask), values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "ask", "code"),
    [
        (harmless(2), {}, 0),
        (harmless(2), {"payload": "reads"}, 0),
        (WARNS, {}, 1),
        (PANICS, {}, 1),
        (BROKEN, {}, 125),
        (BROKEN, {"symptom": "build:fs/read_write.c"}, 1),
        (harmless(2), {"symptom": "build:"}, 0),
        (WARNS, {"symptom": "warn:fake_warn"}, 1),
        (WARNS, {"symptom": "oops:elsewhere"}, 0),
        (PANICS, {"symptom": "warn:fake_warn"}, 125),
        (harmless(2), {"payload": "reads", "symptom": "case:reads"}, 0),
    ],
)
def test_a_step_says_what_git_bisect_wants_to_hear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change, ask: dict[str, str], code: int
) -> None:
    assert step(lab(tmp_path, monkeypatch, harmless(1), change), **ask) == code


@pytest.mark.parametrize(("values", "code"), [("100..107", 0), ("90..100", 1), ("100..101", 0)])
def test_a_step_goes_by_the_value_that_is_nearer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: str, code: int) -> None:
    assert step(lab(tmp_path, monkeypatch, harmless(1)), values, payload="reads", row="reads") == code


def test_git_bisect_run_finds_the_commit_by_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, *series(3, WARNS, of=5))
    tree = root / "work" / "linux"
    git(tree, "bisect", "start", "HEAD", "base")
    said = ""
    while "is the first bad commit" not in said:
        code = step(root, git=str(tree))
        said = git(tree, "bisect", "good" if code == 0 else "bad")

    assert "mine: step 3" in said


@pytest.mark.parametrize(
    ("values", "ask"), [("1..2", {}), ("", {"row": "reads"}), ("1..1", {"row": "reads", "payload": "reads"})]
)
def test_a_step_that_cannot_be_judged_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: str, ask: dict[str, str]
) -> None:
    root = lab(tmp_path, monkeypatch, harmless(1))

    with pytest.raises(UsageError):
        step(root, values, **ask)


def test_a_range_of_a_users_tree_is_bisected_and_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, *series(3, WARNS, of=4))
    tree = root / "work" / "linux"
    before = git(tree, "status", "--porcelain"), git(tree, "rev-parse", "HEAD")

    answer = found(bisect(root, [], git=str(tree), range="base..HEAD"))

    assert [one.title for one in answer.culprits] == ["mine: step 3"]
    assert (git(tree, "status", "--porcelain"), git(tree, "rev-parse", "HEAD")) == before


def test_processes_of_a_killed_bisection_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, harmless(1), WARNS)
    words = [sys.executable, str(FAKES / "toyseries.py"), str(root)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(FAKES)})
    assert process.stdout is not None
    while not process.stdout.readline().startswith("JobStarted"):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()

    for _ in range(400):
        left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in _read(path)]
        if not left:
            return
        select.select([], [], [], 0.05)
    raise AssertionError(left)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
