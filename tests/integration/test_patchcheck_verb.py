"""patchcheck on toy series: every check, and each of them says no."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from test_bisect import BROKEN, DOCUMENTED, lab
from toyseries import Change, harmless

from lab.campaign.patchcheck import patchcheck_cases, patchcheck_tables, worst_code
from lab.campaign.plan import Ask
from lab.campaign.session import Lab
from lab.errors import LabError
from lab.model.outcome import Case, Status

pytestmark = pytest.mark.skipif(shutil.which("perl") is None, reason="no perl")

SPARSE = r"""#!/bin/sh
grep -n nocheck "$1" | sed "s|^\([0-9]*\):.*|$1:\1:2: warning: nocheck was found|" >&2
"""
REPAIRED: Change = {"fs/read_write.c": (BROKEN["fs/read_write.c"][1], BROKEN["fs/read_write.c"][0])}
LOUD: Change = {"init/main.c": ("\tstruct file file", "#warning look here\n\tstruct file file")}
MOVED: Change = {"init/main.c": ('#include "file.h"\n', '#include "file.h"\n\n')}
UNCHECKED: Change = {"fs/read_write.c": ("#define MAX", "/* nocheck */\n#define MAX")}
SHIFTED: Change = {"fs/read_write.c": ('#include "file.h"\n', '#include "file.h"\n\n')}
OPTION: Change = {"Kconfig": ("config NET\n", 'config AGENT\n\tbool "Agent"\n\nconfig NET\n')}
TESTED: Change = {"tools/testing/selftests/agent/agent.c": ("", "int main(void) { return 0; }\n")}


def cases(root: Path, *, full: bool = False, **ask: str) -> dict[str, Case]:
    found = patchcheck_cases(Lab(root, lambda event: None, ["patchcheck"]), Ask(**ask), full=full)  # type: ignore[arg-type]
    return {case.name: case for case in found}


def statuses(found: dict[str, Case], what: str) -> list[Status]:
    return [case.status for name, case in found.items() if name.startswith(f"{what} ")]


def use_sparse(tmp_path: Path) -> None:
    (tmp_path / "bin" / "sparse").write_text(SPARSE)
    (tmp_path / "bin" / "sparse").chmod(0o755)


def test_a_series_in_form_passes_every_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, harmless(1), DOCUMENTED)
    use_sparse(tmp_path)

    found = cases(root)

    assert [case for case in found.values() if case.status is not Status.PASS] == []
    assert len(found) == 2 + 1 + 2 + 2 * 2 + 1  # form, brings, checkpatch, build and sparse, debug
    assert "build debug mine/0002-mine-step-2.patch" in found
    assert worst_code(tuple(found.values())) == 0


def test_with_full_every_patch_is_built_for_debugging_and_with_a_kconfig_only_that_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = lab(tmp_path, monkeypatch, harmless(1), harmless(2))

    assert len(statuses(cases(root, full=True), "build debug")) == 2
    assert statuses(cases(root, kconfig="default"), "build debug") == []


def test_a_patch_that_only_builds_with_the_next_one_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cases(lab(tmp_path, monkeypatch, BROKEN, REPAIRED))

    assert statuses(found, "build") == [Status.FAIL, Status.PASS, Status.PASS]
    assert "has no member" in found["build mine/0001-mine-step-1.patch"].detail
    assert worst_code(tuple(found.values())) == 1


def test_a_new_warning_fails_its_patch_and_one_that_moves_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cases(lab(tmp_path, monkeypatch, harmless(1), LOUD, MOVED), kconfig="default")

    builds = [case for name, case in found.items() if name.startswith("build ")]
    assert [case.status for case in builds] == [Status.PASS, Status.FAIL, Status.PASS]
    assert "init/main.c" in builds[1].detail


def test_what_sparse_finds_anew_fails_and_what_moves_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, harmless(1), UNCHECKED, SHIFTED)
    use_sparse(tmp_path)

    found = cases(root, kconfig="default")

    assert statuses(found, "sparse") == [Status.PASS, Status.FAIL, Status.PASS]
    assert "nocheck was found" in found["sparse default mine/0002-mine-step-2.patch"].detail


def test_sparse_leaves_the_slot_as_the_build_left_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, harmless(1))
    use_sparse(tmp_path)
    cases(root, kconfig="default")

    (release,) = (tmp_path / "cache").rglob("tree/include/config/kernel.release")
    assert release.read_text() == "6.12.100-virtme\n"


def test_sparse_that_is_missing_is_said_and_red_in_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, harmless(1))
    monkeypatch.setattr("lab.kernel.sparse.shutil.which", lambda name: None if name == "sparse" else f"/usr/bin/{name}")
    monkeypatch.delenv("CI", raising=False)

    (case,) = [case for name, case in cases(root, kconfig="default").items() if name.startswith("sparse ")]
    assert (case.status, case.detail) == (Status.SKIP, "sparse is not installed: apt-get install sparse")

    monkeypatch.setenv("CI", "true")
    found = cases(root, kconfig="default")
    assert statuses(found, "sparse") == [Status.ERROR]
    assert worst_code(tuple(found.values())) == 3


def test_a_sparse_that_fails_is_no_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, harmless(1))
    (tmp_path / "bin" / "sparse").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / "sparse").chmod(0o755)

    with pytest.raises(LabError, match="`make C=2` ended with exit status"):
        cases(root, kconfig="default")


def test_a_new_option_wants_a_self_test_and_documentation_and_exceptions_say_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = lab(tmp_path, monkeypatch, OPTION, DOCUMENTED)

    (brings,) = [case for name, case in cases(root, kconfig="default").items() if name.startswith("brings ")]
    assert (brings.status, brings.detail) == (
        Status.FAIL,
        "NO_SELFTEST: the series adds the option AGENT and no self-test",
    )

    (root / "patches" / "mine" / "series.toml").write_text('[checkpatch_exceptions]\nNO_SELFTEST = "tested by reading"\n')
    (brings,) = [case for name, case in cases(root, kconfig="default").items() if name.startswith("brings ")]
    assert (brings.status, brings.detail) == (Status.PASS, "accepted NO_SELFTEST: tested by reading")


def test_a_series_with_test_and_documentation_brings_what_it_should(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert statuses(cases(lab(tmp_path, monkeypatch, OPTION, TESTED, DOCUMENTED), kconfig="default"), "brings") == [Status.PASS]


def test_patches_out_of_form_fail_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lab(tmp_path, monkeypatch, harmless(1), {"Kconfig": ("config NET\n", "config AGENT\n\tdef_bool y\n\nconfig NET\n")})
    (patch,) = (root / "patches" / "mine").glob("0001-*")
    patch.write_text(
        patch.read_text().replace("mine: step 1", "Adds a step.").replace("Because.", "Because.\n\nSigned-off-by: A <a@b>")
    )

    found = cases(root, kconfig="default")

    forms = [case.detail for name, case in found.items() if name.startswith("form ")]
    assert statuses(found, "form") == [Status.FAIL, Status.FAIL]
    assert all(word in forms[0] for word in ("SUBJECT_PREFIX", "SUBJECT_FORM", "SIGNED"))
    assert "KCONFIG_DEFAULT: AGENT is not off by default" in forms[1]


def test_the_table_says_which_check_of_which_patch() -> None:
    cases = (Case("build debug mine/0002-fs-clamp.patch", Status.FAIL, "why"), Case("brings mine", Status.PASS))

    ((_, _, rows),) = patchcheck_tables(cases)
    assert rows == (("build debug", "0002", "fs-clamp", "FAIL", "why"), ("brings", "", "mine", "PASS", ""))


def test_no_case_at_all_is_no_pass() -> None:
    assert worst_code(()) == 3
