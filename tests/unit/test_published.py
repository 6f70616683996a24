"""Published tables beside our layers: read, checked, shown; each complaint of the reader is seen."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from lab.errors import UsageError
from lab.measure.layers import read_layers
from lab.measure.payload import Declaration, expand
from lab.measure.published import FILE, read_published
from lab.model.profile import Explanation, FunctionCost, Happened
from lab.model.published import Part, Published
from lab.report.explained import tables
from lab.report.published import bars_svg
from lab.toml import read_toml

PAYLOADS = Path(__file__).parents[2] / "payloads"
SVG = "{http://www.w3.org/2000/svg}"
LAYERS = ("VFS", "block", "driver", "IRQ", "mm")
TABLE = """
[[table]]
row = "read"
title = "a read"
source = "a paper"
unit = "ns"
parts = [
  { name = "system call", value = 300, layers = ["VFS"] },
  { name = "bio", value = 100, layers = ["block", "driver"] },
  { name = "disk", value = 3200 },
]
"""
READ = Published(
    "read",
    "a read",
    "a paper",
    "ns",
    (Part("system call", 300, ("VFS",)), Part("bio", 100, ("block", "driver")), Part("disk", 3200)),
)


def test_tables_are_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(TABLE)

    assert read_published(tmp_path / FILE, ["read"], LAYERS) == (READ,)
    assert READ.software == 400


def test_a_payload_without_the_file_has_none(tmp_path: Path) -> None:
    assert read_published(tmp_path / FILE, ["read"], LAYERS) == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('row = "read"', 'row = "write"', "there is no counted row `write`"),
        ('["VFS"]', '["vfs"]', "there is no layer `vfs`; there are: VFS"),
        ('["VFS"]', '["block"]', "layer `block` is in two parts"),
        ("value = 100", "value = 0", "`bio` is not above 0"),
        ("value = 100", "value = nan", "`bio` is not above 0"),
        ("unit =", "units =", "unknown key"),
        ("[[table]]", f"{TABLE}[[table]]", "`read` has two tables"),
    ],
)
def test_what_a_table_may_not_say(tmp_path: Path, old: str, new: str, said: str) -> None:
    (tmp_path / FILE).write_text(TABLE.replace(old, new))

    with pytest.raises(UsageError, match=said):
        read_published(tmp_path / FILE, ["read"], LAYERS)


def test_a_table_of_hardware_alone_is_refused(tmp_path: Path) -> None:
    text = TABLE.replace(', layers = ["VFS"]', "").replace(', layers = ["block", "driver"]', "")
    (tmp_path / FILE).write_text(text)

    with pytest.raises(UsageError, match="no part is software"):
        read_published(tmp_path / FILE, ["read"], LAYERS)


@pytest.mark.parametrize("path", sorted(PAYLOADS.glob(f"*/{FILE}")), ids=lambda path: path.parent.name)
def test_every_table_here_is_good(path: Path) -> None:
    declared = read_toml(path.with_name("payload.toml"), Declaration)
    rows = [metric.name for metric in expand(declared) if metric.kind == "exact"]

    assert read_published(path, rows, read_layers().names)


def cost(layer: str, base: float, patched: float) -> FunctionCost:
    return FunctionCost(layer, layer, base, patched, patched - base)


def explanation(published: Published | None) -> Explanation:
    return Explanation(
        a="base",
        b="patched",
        payload="p",
        kconfig="default",
        guest="disk",
        metric="read",
        operations=(2, 2),
        typical=True,
        base=900.0,
        patched=800.0,
        mean=Happened("mean of all operations", 900.0, 800.0),
        bracket=4,
        functions=(),
        others=0,
        largest=0.0,
        layers=(cost("VFS", 500, 400), cost("block", 250, 250), cost("driver", 50, 50), cost("mm", 100, 100)),
        beside=(),
        interrupts=(cost("IRQ", 50, 150), cost("driver", 50, 50)),
        events=(),
        published=published,
    )


def test_shares_stand_beside_shares_and_hardware_has_none() -> None:
    title, columns, rows = list(tables(explanation(READ)))[-1]

    assert columns == ("published part", ">ns", ">share", "layers here", ">base", ">share", ">patched", ">share")
    assert rows == [
        ("system call", "300", "75.0%", "VFS", "500.0", "50.0%", "400.0", "40.0%"),
        ("bio", "100", "25.0%", "block, driver", "350.0", "35.0%", "350.0", "35.0%"),  # the interrupt's part of the driver too
        ("disk", "3,200", "", "(hardware)", "", "", "", ""),
        ("(no such part)", "", "", "mm, IRQ", "150.0", "15.0%", "250.0", "25.0%"),
        ("all software", "400", "100.0%", "all layers", "1,000.0", "100.0%", "1,000.0", "100.0%"),
    ]
    assert "a paper" in title
    assert "100.0 and 200.0 of them of interrupts" in title


def test_the_bars_are_xml_as_wide_as_the_shares() -> None:
    drawn = ElementTree.fromstring(bars_svg(explanation(READ), READ))

    widths = [float(box.get("width", "0")) for box in drawn.iter(f"{SVG}rect") if box.get("height") == "44"]
    assert widths == [675, 225, 0, 450, 315, 135, 360, 315, 225]
    assert [text.text for text in drawn.iter(f"{SVG}text") if text.text and text.text.endswith("%")][:2] == ["75.0%", "25.0%"]


def test_a_row_without_a_table_shows_none() -> None:
    assert not any("published part" in columns for _, columns, _ in tables(explanation(None)))
