"""Price lists of toy series: real make, git and workers, a fake QEMU."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from test_bisect import BROKEN, COMMENTED, MORE, WARNS, lab
from toyseries import TESTED, bisect, declared, harmless, makes

from lab.campaign.rundir import RunDir
from lab.errors import UsageError
from lab.model.judgement import Verdict
from lab.model.outcome import Status
from lab.model.price import PriceList
from lab.model.run import Results
from lab.model.suite import CaseVerdict
from lab.report.prices import tables

LOUD = {"init/main.c": ("\tstruct file file", "#warning look here\n\tstruct file file")}
HEADER = {"include/file.h": ("int mode;", "int mode;\n\tint more;")}
LESS = {"init/number": ("107\n", "101\n")}


def only(results: Results) -> PriceList:
    (prices,) = results.prices
    return prices


def test_every_patch_has_its_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, harmless(1), MORE, LOUD, COMMENTED, HEADER)

    results = bisect(root, [], payload="reads", profile=True)

    prices = only(results)
    told = {patch.k: patch for patch in prices.patches}
    assert [told[k].objects for k in range(1, 6)] == [1, 0, 1, 1, 2]
    assert [len(told[k].warnings) for k in range(1, 6)] == [0, 0, 1, 0, 0]
    assert [told[k].inert for k in range(1, 6)] == [False, False, True, True, False]
    assert told[1].text > 0 == told[2].text
    assert told[1].functions[0][0] == "main"
    assert [row.delta for patch in prices.patches for row in patch.rows] == [0, 7, 0, 0, 0]
    assert told[2].rows[0].verdict is Verdict.REGRESSED
    assert told[4].boots == (3, 3)  # those of the kernel that runs alike
    assert prices.whole[0].delta == 7
    assert (results.status, results.exit) == (Status.PASS, 0)


def test_a_chart_is_drawn_of_each_row_that_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, harmless(1), MORE)

    results = bisect(root, [], payload="reads", profile=True)

    chart = RunDir(root / "reports" / results.run).chart("mine", "reads", "reads")
    texts = [node.text for node in ET.fromstring(chart.read_text()).iter() if node.tag.endswith("}text")]
    assert {"before", "2 mine-step-2", "+7", "all 2 patches"} <= {*texts}
    shown = [line for _, _, lines in tables(results.prices) for line in lines]
    assert ("", "2 mine-step-2", "107", "+7", "+" * 16) in shown


def test_objects_are_counted_between_neighbours_wherever_the_slot_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, harmless(1), HEADER)
    bisect(root, [], payload="reads", bad="1", profile=True)
    bisect(root, [], payload="reads", good="1", profile=True)  # now the slot holds the whole series
    before = makes(root)

    prices = only(bisect(root, [], payload="reads", profile=True))

    assert [patch.objects for patch in prices.patches] == [1, 2]
    assert makes(root) == before  # both ways are known by now


def test_a_patch_that_does_not_build_or_boot_has_no_price_and_fails_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repaired = {"fs/read_write.c": (BROKEN["fs/read_write.c"][1], BROKEN["fs/read_write.c"][0])}
    root = lab(tmp_path, monkeypatch, BROKEN, repaired, WARNS)

    results = bisect(root, [], payload="reads", profile=True)

    broken, _, warns = only(results).patches
    assert [patch.status for patch in only(results).patches] == [Status.FAIL, Status.PASS, Status.FAIL]
    assert "has no member" in broken.message
    assert (warns.boots, "fake_warn" in warns.message) == ((0, 3), True)
    assert (results.status, results.exit) == (Status.FAIL, 1)


def test_a_row_that_nothing_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, harmless(1))

    with pytest.raises(UsageError, match="no payload has writes"):
        bisect(root, [], payload="reads", row="writes", profile=True)


def test_the_self_tests_of_the_whole_series_run_on_every_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = declared(lab(tmp_path, monkeypatch, harmless(1), MORE, COMMENTED, TESTED))

    results = bisect(root, [], payload="reads", profile=True)

    prices = only(results)
    told = [{row.test: row.verdict for row in patch.tests if not row.whole} for patch in prices.patches]
    assert [one["own:reads.sh: reads"] for one in told] == [CaseVerdict.PASS] * 4
    more = [one["own:reads.sh: more"] for one in told]
    assert more == [CaseVerdict.FAILS, CaseVerdict.FIXED, CaseVerdict.PASS, CaseVerdict.PASS]
    assert [line[7] for line in tables(results.prices)[0][2]] == ["1/2", "2/2", "2/2", "2/2"]
    assert (results.status, results.exit) == (Status.PASS, 0)
    assert len([job for job in results.jobs if job.payload == "kselftest"]) == 2 + 2 + 1  # a difference is looked at twice


def test_a_patch_that_breaks_a_self_test_on_the_way_fails_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = declared(lab(tmp_path, monkeypatch, MORE, TESTED, LESS))

    results = bisect(root, [], payload="reads", profile=True)

    assert [patch.status for patch in only(results).patches] == [Status.PASS, Status.PASS, Status.FAIL]
    assert "own:reads.sh: more passed without it" in only(results).patches[-1].message
    assert (results.status, results.exit) == (Status.FAIL, 1)


def test_a_self_test_that_fails_on_the_whole_series_fails_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = declared(lab(tmp_path, monkeypatch, harmless(1), TESTED))

    results = bisect(root, [], payload="reads", profile=True)

    assert [patch.status for patch in only(results).patches] == [Status.PASS, Status.FAIL]
    assert "own:reads.sh: more fails on the whole series" in only(results).patches[-1].message
    assert (results.status, results.exit) == (Status.FAIL, 1)
    assert bisect(root, [], payload="reads", profile=True, bad="1").status is Status.PASS
