from __future__ import annotations

import os
from pathlib import Path

from lab.kernel.slot import is_modular, repair, slot_name


def put(path: Path, second: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    os.utime(path, (second, second))


def test_what_make_did_not_finish_is_removed(tmp_path: Path) -> None:
    for name, target, command in (("done", 10, 20), ("same", 20, 20), ("half", 30, 20), ("recorded", 10, 20)):
        put(tmp_path / "fs" / f"{name}.o", target)
        put(tmp_path / "fs" / f".{name}.o.cmd", command)
    put(tmp_path / "fs" / ".recorded.o.d", 20)
    put(tmp_path / "fs" / ".gone.o.cmd", 20)
    put(tmp_path / "fs" / "source.c", 99)

    assert sorted(repair(tmp_path)) == ["fs/half.o", "fs/recorded.o"]
    assert sorted(path.name for path in (tmp_path / "fs").iterdir()) == [
        ".done.o.cmd",
        ".gone.o.cmd",
        ".half.o.cmd",
        ".same.o.cmd",
        "done.o",
        "same.o",
        "source.c",
    ]
    assert repair(tmp_path) == []


def test_names_and_modules() -> None:
    assert slot_name("default", "/usr/bin/gcc-12") == "default-_usr_bin_gcc-12"
    assert is_modular({"A": "y", "B": "m"})
    assert not is_modular({"A": "y", "B": '"m"'})
