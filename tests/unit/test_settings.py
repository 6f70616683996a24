from __future__ import annotations

from pathlib import Path

import pytest

from lab.campaign.settings import Settings, changed_guest, guest_spec, read_settings, whole_number
from lab.errors import UsageError
from lab.model.machine import GuestSpec
from lab.toml import parse_toml

ROOT = Path(__file__).parents[2]


def test_the_committed_file_is_read() -> None:
    settings = read_settings(ROOT / "lab.toml")

    assert guest_spec(settings, settings.default.guest).mode == "exact"
    assert settings.budget.factor("debug") > 1 == settings.budget.factor("default")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("cpus = 1", "cpsu = 1"), r"guest\.single\.cpsu: unknown key"),
        (("cpus = 1", 'cpus = "many"'), r"guest\.single\.cpus: .*valid integer.*got 'many'"),
        (("[default]", "[defaults]"), r"defaults: unknown key \(top level allows: budget, caches, default"),
        (('mode = "exact"', 'mode = "exakt"'), r"guest\.single\.mode: .*'exact', 'counts'"),
        (("[default]", "[default"), "not TOML"),
    ],
)
def test_a_typo_names_file_key_and_what_is_allowed(change: tuple[str, str], complaint: str) -> None:
    text = (ROOT / "lab.toml").read_text().replace(*change)

    with pytest.raises(UsageError, match=complaint) as caught:
        parse_toml(text, Settings, "lab.toml")

    assert "lab.toml" in str(caught.value)


def test_the_model_of_caches_is_checked(tmp_path: Path) -> None:
    text = (ROOT / "lab.toml").read_text()
    (tmp_path / "lab.toml").write_text(text.replace("d1 = { kib = 32, ways = 8 }", "d1 = { kib = 48, ways = 8 }"))

    assert read_settings(ROOT / "lab.toml").caches.plain.unfit == ""
    with pytest.raises(UsageError, match=r"caches: d1: 48 KiB in 8 ways of 64-byte lines is no power of two of sets"):
        _ = read_settings(tmp_path / "lab.toml").caches.plain


def test_an_unknown_guest_lists_the_known_and_the_closest() -> None:
    settings = read_settings(ROOT / "lab.toml")

    with pytest.raises(UsageError, match=r"no guest named 'singel' \(there are: .*single.*did you mean single\?"):
        guest_spec(settings, "singel")


def test_the_command_line_changes_a_guest() -> None:
    spec = changed_guest(GuestSpec("g", cmdline=("a",)), {"cpus": "4", "memory": "2048", "append": "b c", "qemu_arg": "-s"})

    assert (spec.cpus, spec.memory_mib, spec.cmdline, spec.qemu_args) == (4, 2048, ("a", "b", "c"), ("-s",))
    assert changed_guest(spec, {}) == spec


def test_an_image_and_a_share_go_with_any_guest(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()

    spec = changed_guest(GuestSpec("g"), {"image": "debian", "share": f"{tmp_path}/src/../src"})

    assert (spec.image, spec.share) == ("debian", tmp_path / "src")


def test_a_share_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for name in ("file", "missing"):
        with pytest.raises(UsageError, match=f"--share .*{name} is not a directory"):
            changed_guest(GuestSpec("g"), {"share": str(tmp_path / name)})


@pytest.mark.parametrize("text", ["", "0", "-1", "two", "1.5"])
def test_numbers_are_checked(text: str) -> None:
    with pytest.raises(UsageError, match="--cpus takes a whole number from 1"):
        whole_number("--cpus", text)
