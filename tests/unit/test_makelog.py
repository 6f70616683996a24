from __future__ import annotations

from lab.formats.makelog import added_warnings, carried_warnings, count_compiled, first_fault, host_trouble, warnings_of

FAILED = """cmd: make bzImage LOCALVERSION=-virtme -j 2
  CALL    scripts/checksyscalls.sh
  HOSTCC  scripts/kallsyms
  CC      fs/read_write.o
  AS      arch/x86/entry/entry_64.o
  CC [M]  drivers/net/dummy.o
fs/open.c:10:2: warning: unused variable 'x' [-Wunused-variable]
In file included from ./include/linux/fs.h:5,
                 from fs/read_write.c:10:
./include/linux/file.h: In function 'fdput':
./include/linux/file.h:77:17: error: 'struct fd' has no member named 'odd'
   77 |         if (fd.odd)
      |                 ^
fs/read_write.c:480:9: error: a second one
make[3]: *** [scripts/Makefile.build:229: fs/read_write.o] Error 1
make: *** [Makefile:240: __sub-make] Error 2
""".splitlines()


def test_the_first_compiler_error_with_its_surroundings() -> None:
    fault = first_fault(FAILED)

    assert fault.title == "./include/linux/file.h:77:17: error: 'struct fd' has no member named 'odd'"
    assert (fault.file, fault.line) == ("include/linux/file.h", 77)
    assert fault.context[0].startswith("In file included from")
    assert fault.context[-1].strip() == "|                 ^"
    assert fault.included == ("include/linux/fs.h", "fs/read_write.c")


def test_a_linker_error_and_a_plain_stop() -> None:
    link = [
        "  LD      vmlinux",
        "ld: init/main.o: in function `main':",
        "main.c:(.text+0x1): undefined reference to `x'",
        "make: *** [x] Error 1",
    ]

    assert first_fault(link).title == "ld: init/main.o: in function `main':"
    assert any("undefined reference" in line for line in first_fault(link).context)
    assert first_fault(["make: *** No rule to make target 'fs/gone.o'.  Stop."]).title.endswith("Stop.")
    assert first_fault(["something odd"]).title == "something odd"
    assert first_fault([]).title == "make said nothing"


def test_objects_and_warnings_are_counted_once() -> None:
    assert count_compiled(FAILED) == 3
    assert warnings_of([*FAILED, *FAILED]) == ("fs/open.c:10:2: warning: unused variable 'x' [-Wunused-variable]",)
    assert warnings_of(["vmlinux.o: warning: objtool: x+0x1: unreachable", "WARNING: modpost: missing description"])


def test_warnings_of_what_was_not_compiled_again_are_carried() -> None:
    before = ["fs/open.c:1:1: warning: a", "./init/main.c:1:1: warning: b", "include/x.h:1:1: warning: c", "WARNING: modpost: d"]

    assert carried_warnings(before, ["  CC      fs/open.o", "fs/open.c:2:1: warning: e"]) == (
        *before[1:],
        "fs/open.c:2:1: warning: e",
    )


def test_the_hosts_own_trouble_is_not_the_kernels() -> None:
    assert host_trouble([*FAILED, "fatal error: error writing to /tmp/x.s: No space left on device"])
    assert host_trouble(["gcc: fatal error: Killed signal terminated program cc1"])
    assert host_trouble(FAILED) == ""


def test_added_warnings_are_told_by_file_and_text_not_by_line() -> None:
    before = ["a.c:10:2: warning: old", "a.c:20: warning: twice", "WARNING: modpost: x"]
    moved = ["a.c:12:2: warning: old", "a.c:22: warning: twice", "WARNING: modpost: x"]

    assert added_warnings(before, moved) == ()
    assert added_warnings(before, [*moved, "a.c:30: warning: twice"]) == ("a.c:30: warning: twice",)
    assert added_warnings(before, [*moved, "b.c:12:2: warning: old"]) == ("b.c:12:2: warning: old",)
    assert added_warnings((), before) == tuple(before)
