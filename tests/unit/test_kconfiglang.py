from __future__ import annotations

from lab.formats.kconfiglang import Entry, find_entries, unmet

KCONFIG = """
menuconfig NET
\tbool "Networking"
\thelp
\t  Networks.

\t  config INET
\t    is not an entry here.

if NET

config INET
\tbool "TCP/IP" # comment
\tdepends on \\
\t\tBLOCK || PROC_FS
\tselect CRYPTO

menu "Filters"
\tdepends on EXPERT
\tvisible if SMP

config XTABLES
\ttristate
\tdefault y
\tdepends on INET

choice
\tprompt "Which"
\tdepends on HZ

config HZ_100
\tbool "100"

endchoice
endmenu
endif

config ALONE
\tint
\tprompt "How many"

config INET
\tdefault n
"""


def test_an_entry_has_what_encloses_it() -> None:
    assert find_entries(KCONFIG, "INET")[0] == Entry("INET", True, ("NET", "BLOCK || PROC_FS"))
    assert find_entries(KCONFIG, "XTABLES") == [Entry("XTABLES", False, ("NET", "EXPERT", "INET"))]
    assert find_entries(KCONFIG, "HZ_100") == [Entry("HZ_100", True, ("NET", "EXPERT", "HZ"))]
    assert find_entries(KCONFIG, "ALONE") == [Entry("ALONE", True, ())]


def test_help_texts_hold_no_entries_and_all_real_ones_are_found() -> None:
    assert len(find_entries(KCONFIG, "INET")) == 2
    assert find_entries(KCONFIG, "NOPE") == []


def test_unmet_shows_each_symbol_once_with_its_value() -> None:
    expression = 'A && (B = m || !A) && C != "x Y" && $(cc-option,-mfoo) && NR_CPUS > 2'

    assert unmet(expression, {"A": "y", "B": "n", "NR_CPUS": "64"}) == ["A=y", "B is not set", "C is not set", "NR_CPUS=64"]
