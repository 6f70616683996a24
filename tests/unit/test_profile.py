"""Profiles: read, named, put into layers, explained, drawn; and what is wrong with one is said."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from lab_job import job_of

from lab.campaign.explain import check, check_debug_info
from lab.campaign.plan import Ask
from lab.errors import LabError, UsageError
from lab.formats.profile import CONTEXTS, EVENTS, Profile, parse_profile
from lab.kernel.symbols import parse_kallsyms, parse_nm
from lab.measure.cost import TOTALS
from lab.measure.explain import explain, having, worth
from lab.measure.layers import read_layers
from lab.measure.paths import call_graph, stacks, typical_stacks
from lab.measure.profiled import Profiled, Texts, identity, profiled
from lab.model.judgement import Comparison, Spread, Verdict
from lab.model.outcome import Status
from lab.model.profile import PLAIN, Cache, Caches, Function, Profiling, Stacks
from lab.report.callgrind import callgrind_text
from lab.report.explained import sentence, shown, tables
from lab.report.flame import flame_svg, folded_text

VFS_READ, MODULE, STRAY, MAIN = 0xFFFFFFFF81000000, 0xFFFFFFFFA0000000, 0xFFFFFFFFB0000000, 0x401000
FUNCTIONS = f"{MAIN:x} {MAIN + 16:x} main\n{VFS_READ:x} {VFS_READ + 16:x} vfs_read\n"
STDOUT = "KTAP version 1\n1..1\n# section 0 empty laps 1\n# section 1 read laps 2\nok 1 read\n"


def node(number: int, parent: int, function: int, *, task: int, hardirq: int = 0, **events: int) -> str:
    counts = {"task": task, "hardirq": hardirq}
    words = [*(counts.get(name, 0) for name in CONTEXTS), *(events.get(name.replace("-", "_"), 0) for name in EVENTS)]
    return f"node {number} {parent} {function} 2 {' '.join(map(str, words))}\n"


def text(vfs: int = 100, *, kinds: bool = True, stray: int = 3, spots: str = "") -> str:
    """A section `empty` of 4, then two laps: 20 in main, `vfs` in vfs_read, 6 in a module, `stray` nobody knows where."""
    empty = f"lab-profile 1\nsection 0\nfunction 0 {MAIN:x}\n{node(1, 0, 0, task=4)}laps 1 4\nin 1 4\nend 0 nodes 1\n"
    functions = f"function 1 {VFS_READ:x}\nfunction 2 {MODULE:x}\nfunction 3 {STRAY:x}\nfunction 4 foreign\n"
    nodes = node(1, 0, 0, task=20) + node(2, 1, 1, task=vfs, locked=1, d1_misses=4, ll_misses=2)
    nodes += node(3, 2, 2, task=6, hardirq=8)
    nodes += node(4, 1, 3, task=stray) + node(5, 0, 4, task=0, hardirq=1)
    work = 20 + vfs + 6 + stray
    laps = f"laps 2 {work // 2}\nin 1 20\nin 2 {vfs}\nin 3 6\nin 4 {stray + work % 2}\n" if kinds else ""
    return f"{empty}section 1\n{functions}{nodes}{laps}{spots}end 1 nodes 5\n"


def cost(vfs: int = 100, stray: int = 4) -> str:
    work = (20 + vfs + 6 + stray) // 2
    totals = {"task": 2 * work, "hardirq": 9}

    def end(ordinal: int, laps: int, task: int, hardirq: int) -> str:
        found = totals | {
            "task": task,
            "hardirq": hardirq,
            "own-space": task + hardirq - 2 * ordinal,
            "other-spaces": 2 * ordinal,
        }
        return f"end {ordinal} laps {laps} " + " ".join(f"{name} {found.get(name, 0)}" for name in TOTALS) + "\n"

    empty = f"section 0\nlap 4 0 0 0 0 0 0\n{end(0, 1, 4, 0)}"
    return f"lab-cost 2\n{empty}section 1\n" + f"lap {work} 0 0 0 0 0 0\n" * 2 + end(1, 2, 2 * work, 9)


def spots(vfs: int = 100) -> str:
    """What the operation executed by address: a third of vfs_read is inlined there."""
    kernel = f"at {VFS_READ:x} {vfs - 30}\nat {VFS_READ + 4:x} 30\nat {MODULE:x} 6\n"
    return f"at {MAIN:x} 15\n{kernel}at foreign 5\nat {STRAY:x} 4\n"


def side(vfs: int = 100, *, kinds: bool = True, profiling: Profiling = PLAIN) -> Profiled:
    late = (Function(MODULE, MODULE + 64, "handler [mod]"),)
    texts = Texts(STDOUT, cost(vfs), FUNCTIONS, late, frozenset(), profiling)
    profile = parse_profile(text(vfs, kinds=kinds, stray=4, spots=spots(vfs) if profiling.addresses else ""))
    return profiled(texts, profile, {VFS_READ: "fs/read_write.c"}, read_layers())


def row(verdict: Verdict = Verdict.MORE, metric: str = "read") -> Comparison:
    one = Spread(100.0, 2, (100.0, 100.0))
    words = ("base", "patched", "p", "default", "single", metric, "insn", "exact")
    return Comparison(*words, one, one, 0.0, 1.0, 0.005, verdict, False)  # type: ignore[arg-type]


# --- the file -------------------------------------------------------------------------------------------------------------


def test_a_profile_is_read_whole() -> None:
    profile = parse_profile(text(stray=4))

    assert profile.problems == ()
    assert [len(tree.nodes) for tree in profile.sections] == [1, 5]
    assert profile.addresses[1] == VFS_READ
    assert profile.addresses[4] is None
    assert profile.sections[1].kind(65) is not None
    assert profile.sections[1].kind(64) is None


def test_truncation_at_any_byte_is_a_problem_or_fewer_sections() -> None:
    whole = text(stray=4)
    for cut in range(len(whole)):
        profile = parse_profile(whole[:cut])
        assert profile.problems or len(profile.sections) < 2, whole[:cut][-40:]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lab-profile 1", "lab-profile 2"),
        ("section 1", "section 2"),
        ("node 2 1 1", "node 2 7 1"),
        ("node 2 1 1", "node 1 1 1"),
        ("node 2 1 1", "node 2 1 9"),
        ("node 2 1 1 2", "node 2 1 1"),
        ("in 2 100", "in 2 101"),
        ("in 2 100", "in 9 100"),
        ("laps 2 65", "laps 2 66"),
        ("function 1 f", "function 1 x"),
        ("end 1 nodes 5", "end 1 nodes 4"),
        ("end 1", "stop 1"),
    ],
)
def test_what_makes_no_sense_is_a_problem(old: str, new: str) -> None:
    assert parse_profile(text(stray=4).replace(old, new)).problems


def test_addresses_are_read_and_add_up() -> None:
    assert parse_profile(text(stray=4, spots=spots())).sections[1].spots[VFS_READ + 4] == 30
    assert parse_profile(text(stray=4)).sections[1].spots == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [("foreign 5", "foreign 4"), ("at foreign 5\n", ""), ("foreign 5", "foreign 5 5"), ("at foreign", f"at {MAIN:x}")],
)
def test_addresses_that_make_no_sense_are_a_problem(old: str, new: str) -> None:
    assert parse_profile(text(stray=4, spots=spots().replace(old, new))).problems


def test_functions_that_add_up_pass_and_others_do_not() -> None:
    assert identity(text(stray=4), cost()).status is Status.PASS
    assert "task: 134 by function, 130 in all" in identity(text(stray=8), cost()).detail
    assert identity("", cost()).status is Status.ERROR
    assert identity(text(stray=4), "").status is Status.ERROR


# --- names ----------------------------------------------------------------------------------------------------------------


def test_of_several_names_the_plainest_stands_and_labels_inside_are_none() -> None:
    said = "0000000000001000 0000000000000020 T __vfs\n0000000000001000 0000000000000020 T vfs\n0000000000001008 t label\n"
    said += "0000000000002000 t asm_label\n0000000000002010 D data\n0000000000009000 0000000000000010 t last\n"

    assert parse_nm(said) == (
        Function(0x1000, 0x1020, "vfs"),
        Function(0x2000, 0x3000, "asm_label"),
        Function(0x9000, 0x9010, "last"),
    )
    assert parse_nm("") == ()


def test_late_symbols_reach_to_the_next() -> None:
    said = "ffffffffa0000000 t one\t[mod]\nffffffffa0000040 t bpf_prog_x\t[bpf]\n0000000000000000 t hidden\t[mod]\n"

    assert [(one.name, one.end - one.first) for one in parse_kallsyms(said)] == [("one [mod]", 64), ("bpf_prog_x [bpf]", 1 << 20)]
    assert parse_kallsyms("") == ()


def test_what_lay_at_one_place_in_turn_has_all_its_names() -> None:
    said = "ffffffffa0000000 t one\t[bpf]\nffffffffa0000000 t two\t[bpf]\nffffffffa0000000 t one\t[bpf]\n"

    assert [one.name for one in parse_kallsyms(said)] == ["one [bpf] or two [bpf]"]


@pytest.mark.parametrize(
    ("name", "source", "layer"),
    [
        ("vfs_read", "fs/read_write.c", "VFS"),
        ("ext4_file_read_iter", "fs/ext4/file.c", "filesystem"),
        ("tcp_sendmsg", "net/ipv4/tcp.c", "TCP"),
        ("ip_output", "net/ipv4/ip_output.c", "IP"),
        ("__switch_to_asm", "arch/x86/entry/entry_64.S", "scheduler"),
        ("entry_SYSCALL_64", "arch/x86/entry/entry_64.S", "syscall entry"),
        ("asm_exc_page_fault", "arch/x86/include/asm/idtentry.h", "exceptions"),
        ("nvme_queue_rq", "drivers/nvme/host/pci.c", "driver"),
        ("bpf_prog_0123 [bpf]", "", "BPF"),
        ("handler [mod]", "", "module"),
        ("nobody_knows", "", "other"),
    ],
)
def test_the_map_of_layers(name: str, source: str, layer: str) -> None:
    assert read_layers().of(name, source) == layer


def test_what_has_no_name_is_shown_as_unknown() -> None:
    known = side().known

    assert [known[number].name for number in range(5)] == ["main", "vfs_read", "handler [mod]", "[unknown]", "[another program]"]


# --- the explanation ------------------------------------------------------------------------------------------------------


def test_the_functions_add_up_to_the_median_lap_and_name_what_gained() -> None:
    found = explain(row(), side(), side(104), read_layers(), asked=False)

    assert (found.base, found.patched, found.typical, found.bracket) == (65.0, 67.0, True, 4)
    assert sum(one.base for one in found.functions) == found.base
    assert (found.functions[0].name, found.functions[0].layer, found.functions[0].delta) == ("vfs_read", "VFS", 2.0)
    assert sentence(found) == "read +2.000 instructions per operation: vfs_read +2.000 (VFS); no other function by 0.5 or more"
    assert next(one for one in found.beside if one.name == "hardirq").base == 4.5
    assert next(one for one in found.events if one.name == "locked").base == 0.5
    assert "[unknown]" in [layer.name for layer in found.layers]


def test_without_laps_of_the_medians_length_all_are_taken_and_that_is_said() -> None:
    found = explain(row(), side(kinds=False), side(104), read_layers(), asked=False)

    assert (found.typical, found.base, found.operations) == (False, 65.0, (2, 2))
    assert "the mean of all operations" in next(iter(tables(found)))[0]


def test_sides_alike_are_explained_by_nothing() -> None:
    found = explain(row(), side(), side(), read_layers(), asked=True)

    assert sentence(found) == "read +0.000 instructions per operation: no function by 0.5 or more"
    assert next(iter(tables(found)))[2][-1] == ("all functions", "", "65.00", "65.00", "+0.000")


def test_a_model_of_caches_adds_estimates_that_say_so() -> None:
    caches = Caches(Cache(32, 8), Cache(32, 8), Cache(8192, 16))
    found = explain(row(), side(), side(104, profiling=Profiling(caches)), read_layers(), asked=False)

    vfs = found.functions[0]
    assert vfs.stalls == (120.0, 120.0)  # 2 misses of D1 at 10 and one of LL at 100, a lap
    title, columns, rows = next(iter(tables(found)))
    assert "not measured" in title
    assert "D1 32 KiB 8-way" in title
    assert columns[-3:] == (">est. base", ">est. patched", ">est. delta")
    assert rows[0] == ("vfs_read", "VFS", "50.00", "52.00", "+2.000", "170", "172", "+2.0")
    assert rows[-1] == ("all functions", "", "65.00", "67.00", "+2.000", "185", "187", "+2.0")


def test_without_a_model_nothing_is_estimated() -> None:
    assert next(iter(tables(explain(row(), side(), side(104), read_layers(), asked=False))))[1][-1] == ">delta"


@pytest.mark.parametrize(
    ("caches", "said"),
    [
        (Caches(Cache(48, 12), Cache(32, 8), Cache(8192, 16)), ""),
        (Caches(Cache(32, 8), Cache(48, 8), Cache(8192, 16)), "d1: 48 KiB in 8 ways"),
        (Caches(Cache(32, 0), Cache(32, 8), Cache(8192, 16)), "i1: 32 KiB in 0 ways"),
        (Caches(Cache(32, 8), Cache(32, 8), Cache(-1, 16)), "ll: -1 KiB"),
        (Caches(Cache(30, 8), Cache(30, 8), Cache(8160, 16), line=60), "i1: 30 KiB in 8 ways of 60-byte lines"),
    ],
)
def test_caches_that_cannot_be_are_named(caches: Caches, said: str) -> None:
    assert caches.unfit.startswith(said)
    assert bool(caches.unfit) is bool(said)


def test_inlined_functions_are_told_apart_and_add_up() -> None:
    chains = {VFS_READ: ("vfs_read",), VFS_READ + 4: ("fput", "fdput", "vfs_read"), MODULE: ("handler",)}
    base, patched = (replace(side(vfs, profiling=Profiling(addresses=True)), inlined=chains) for vfs in (100, 104))
    found = explain(row(), base, patched, read_layers(), asked=False)

    assert base.spots(["read"]) == [VFS_READ, VFS_READ + 4, MODULE, STRAY]
    assert {(one.name, one.inside): (one.base, one.patched) for one in found.inlines} == {
        ("vfs_read", "vfs_read"): (35.0, 37.0),
        ("fput", "vfs_read"): (15.0, 15.0),
        ("handler", "handler"): (3.0, 3.0),
        ("user", "user"): (10.0, 10.0),
        ("[unknown]", "[unknown]"): (2.0, 2.0),
    }
    assert sum(one.patched for one in found.inlines) == found.mean.patched
    shown = next(rows for _, columns, rows in tables(found) if "inlined" in columns[0])
    assert shown[0] == ("vfs_read", "", "35.00", "37.00", "+2.000")
    assert ("fput", "vfs_read", "15.00", "15.00", "+0.000") in shown


def test_what_is_not_listed_of_inlined_functions_is_one_line() -> None:
    chains = {VFS_READ: ("a",)}
    one = side(profiling=Profiling(addresses=True))
    found = explain(row(), one, replace(one, inlined=chains), read_layers(), asked=False).inlines

    assert [(inline.name, inline.delta) for inline in found][:2] == [("[unknown]", -35.0), ("a", 35.0)]
    assert sum(inline.base for inline in found) == 65.0


def test_a_section_that_did_not_come_is_an_error() -> None:
    with pytest.raises(LabError, match="no section `write`"):
        explain(row(metric="write"), side(), side(), read_layers(), asked=False)


def test_a_row_that_one_side_cannot_run_is_new_from_beginning_to_end() -> None:
    one = side()
    renamed = {"read": "write"}
    patched = replace(
        one,
        laps={renamed.get(name, name): laps for name, laps in one.laps.items()},
        headlines={renamed.get(name, name): lap for name, lap in one.headlines.items()},
        spaces={renamed.get(name, name): told for name, told in one.spaces.items()},
    )
    new = replace(row(Verdict.INCONCLUSIVE, "write"), base=Spread(0.0, 0, ()))

    found = explain(new, *having(new, one, patched), read_layers(), asked=False)

    assert having(row(), one, one) == (one, one)
    assert (found.base, found.operations[0], found.mean.base) == (0.0, 0, 0.0)
    assert found.patched == explain(row(), one, one, read_layers(), asked=False).patched
    assert all(function.base == 0.0 and function.delta == function.patched for function in found.functions)
    assert list(tables(found))
    lost = replace(new, base=new.patched)  # the judged boots had it
    with pytest.raises(LabError, match="no section `write`"):
        explain(lost, *having(lost, one, patched), read_layers(), asked=False)


def test_rows_worth_explaining() -> None:
    rows = [row(Verdict.EQUAL, "same"), row(Verdict.MORE, "more"), row(Verdict.WOBBLE, "wobble")]

    assert [one.metric for one in worth(rows, ())] == ["more", "wobble"]
    assert [one.metric for one in worth(rows, ("same",))] == ["same"]


def test_tables_are_for_few_rows_or_those_that_were_asked_for() -> None:
    plain = explain(row(), side(), side(), read_layers(), asked=False)
    asked = explain(row(), side(), side(), read_layers(), asked=True)

    assert shown([plain, plain], everything=False) == [plain, plain]
    assert shown([plain, plain, asked], everything=False) == [asked]
    assert len(shown([plain] * 3, everything=True)) == 3


@pytest.mark.parametrize("ask", [Ask(row="read"), Ask(caches=True), Ask(inlines=True), Ask(explain=True, kernel="bzImage")])
def test_options_that_need_others_are_refused(ask: Ask) -> None:
    with pytest.raises(UsageError):
        check(ask)


def test_a_kernel_without_debug_information_cannot_tell_inlined_functions_apart() -> None:
    with pytest.raises(UsageError, match="none for the kernel of patched") as caught:
        check_debug_info([job_of(cpus=1)])

    assert "--set CONFIG_DEBUG_INFO_DWARF5=y" in str(caught.value)


# --- other tools' formats -------------------------------------------------------------------------------------------------


def test_stacks_and_calls_hold_everything_that_was_executed() -> None:
    one = side()

    assert stacks(one, "read")["task", "main", "vfs_read"] == 100
    assert sum(stacks(one, "read").values()) == 130 + 9
    assert sum(typical_stacks(one, "read", typical=True).values()) == 130
    assert "task;main;vfs_read;handler [mod] 6\n" in folded_text(stacks(one, "read"))


def test_the_call_graph_is_callgrinds() -> None:
    said = callgrind_text(call_graph(side(), "read", "p read"))

    assert "events: Instructions Beside Locked RepBytes\nsummary: 130 9 1 0\n" in said
    assert "fl=fs/read_write.c\nfn=vfs_read\n0 100 0 1 0\ncfi=module\ncfn=handler [mod]\ncalls=2 0\n0 6 8 0 0\n" in said
    assert "cfi=fs/read_write.c\ncfn=vfs_read\ncalls=2 0\n0 106 8 1 0\n" in said


def test_with_a_model_of_caches_the_call_graph_counts_misses() -> None:
    caches = Caches(Cache(32, 8), Cache(32, 8), Cache(8192, 16))
    said = callgrind_text(call_graph(side(profiling=Profiling(caches)), "read", "p read"))

    assert "events: Instructions Beside Locked RepBytes I1Misses D1Misses LLMisses\nsummary: 130 9 1 0 0 4 2\n" in said


def test_the_flame_graph_is_xml_and_red_where_it_gained() -> None:
    base: Stacks = {("main", "<vfs>"): 100, ("main", "alike"): 100}
    patched: Stacks = {("main", "<vfs>"): 150, ("main", "alike"): 100}
    drawn = ElementTree.fromstring(flame_svg("a & b", base, patched, (10, 10)))

    colours = {
        (group.findtext("{*}title") or "").partition(":")[0]: rectangle.get("fill", "")
        for group in drawn.iter("{http://www.w3.org/2000/svg}g")
        if (rectangle := group.find("{*}rect")) is not None
    }
    assert colours["<vfs>"] == "#ff0000"
    assert colours["alike"] == "#e4e0d8"


def test_an_empty_flame_graph_is_drawn() -> None:
    ElementTree.fromstring(flame_svg("nothing", {}, {}, (1, 1)))


def test_an_empty_profile_has_no_sections() -> None:
    assert parse_profile("lab-profile 1\n") == Profile((), {}, ())
