from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.kernel.symbols import MapSymbols, read_symbols

MAP = """ffffffff81000000 T _text
ffffffff81000000 T startup
ffffffff81000040 t twin
ffffffff81000060 T vfs_read
ffffffff81000090 t twin
ffffffff81000100 D data
ffffffff81000200 B _end
"""


def symbols(directory: Path, vmlinux: str = "vmlinux") -> MapSymbols:
    (directory / "System.map").write_text(MAP)
    return read_symbols(directory / "System.map", directory / vmlinux)


def test_addresses_extents_and_the_nearest_name(tmp_path: Path) -> None:
    found = symbols(tmp_path)

    assert found.address("vfs_read") == 0xFFFFFFFF81000060
    assert found.address("data") == 0xFFFFFFFF81000100
    assert found.extent("vfs_read") == (0xFFFFFFFF81000060, 0xFFFFFFFF81000090)
    assert found.extent("startup") == (0xFFFFFFFF81000000, 0xFFFFFFFF81000040)
    assert found.nearest(0xFFFFFFFF81000064) == "vfs_read+0x4"
    assert found.nearest(0x1000) == "0x1000"
    assert found.nearest(0xFFFFFFFF81000200) == "0xffffffff81000200"
    with pytest.raises(KeyError):
        found.address("nope")


def test_lines_stay_as_they_are_without_debug_information(tmp_path: Path) -> None:
    lines = ["RIP: 0010:vfs_read+0x1/0x30", "hello"]

    assert symbols(tmp_path).decode(lines) == lines
    (tmp_path / "vmlinux").touch()
    assert symbols(tmp_path).decode(lines) == lines


def test_no_system_map(tmp_path: Path) -> None:
    (tmp_path / "System.map").write_text("hello\n")
    with pytest.raises(LabError, match="is no System"):
        read_symbols(tmp_path / "System.map", tmp_path / "vmlinux")


SOURCE = """__attribute__((noipa)) int twice(int x);
int fault(int x);
static inline __attribute__((always_inline)) int inner(int x)
{
	return twice(x) + 1;
}
int fault(int x)
{
	int y = inner(x);
	return y * 2;
}
int twice(int x)
{
	return x + x;
}
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_stack_lines_get_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "fault.c").write_text(SOURCE)
    flags = ["-g", "-O1", "-fno-pie", "-no-pie", "-nostdlib", "-ffreestanding", f"-ffile-prefix-map={tmp_path}=.", "-Wl,-e,fault"]
    subprocess.run(["gcc", *flags, "-o", "vmlinux", "fault.c"], cwd=tmp_path, check=True)
    nm = subprocess.run(["nm", "-n", "vmlinux"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    (tmp_path / "System.map").write_text("".join(f"{line}\n" for line in nm.splitlines() if len(line.split()) == 3))
    found = read_symbols(tmp_path / "System.map", tmp_path / "vmlinux")
    start, end = found.extent("fault")
    call = subprocess.run(["objdump", "-d", "vmlinux"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    after = next(
        int(line.split(":")[0], 16)
        for before, line in zip(call.splitlines(), call.splitlines()[1:], strict=False)
        if "<twice>" in before and "call" in before
    )

    out = found.decode(
        [
            f"[    1.25] RIP: 0010:fault+0x0/{end - start:#x}",
            f"[    1.25]  ? fault+{after - start:#x}/{end - start:#x} and more",
            "[    1.25]  nowhere+0x1/0x2",
            "[    1.25] Code: 00",
        ]
    )

    assert out[0].endswith("(fault.c:8)")
    assert out[1] == f"[    1.25]  ? fault+{after - start:#x}/{end - start:#x} (fault.c:5 inlined at fault.c:9) and more"
    assert out[2:] == ["[    1.25]  nowhere+0x1/0x2", "[    1.25] Code: 00"]
