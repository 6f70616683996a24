"""The real compiler and the real programs: payloads run on this host (uncounted), the plugin is built for every interface."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cache import Cache
from lab.cbuild import shared_object
from lab.deadline import Deadline
from lab.errors import PayloadError
from lab.measure.collect import Collected, outcome
from lab.measure.cost import PLUGIN
from lab.measure.payload import read_payload
from lab.model.outcome import Status
from lab.proc import run

PAYLOADS = Path(__file__).parents[2] / "payloads"
ALONE = ("unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$0" "$@"')
"""With a loopback device of its own: pingpong looks at what went over it, and other tests' traffic is not its own."""


@pytest.mark.parametrize("name", ["pingpong", "syscall"])
def test_a_payload_runs_on_any_linux(name: str, tmp_path: Path) -> None:
    spec = read_payload(PAYLOADS, name, Cache(tmp_path))

    command: list[str | Path] = [*ALONE, spec.directory / spec.command[0], *spec.command[1:]]

    done = run(command, deadline=Deadline.after(120), check=False)
    said = outcome(Collected(done.status, done.stdout, done.stderr), None, spec)

    assert {case.status for case in said.cases} == {Status.PASS}, (said.cases, done.stderr)
    assert len(said.cases) == sum(metric.kind == "exact" for metric in spec.metrics)
    assert done.stdout.count("# section ") == len(said.cases) + 1
    assert any("warm-up operations discarded" in note for note in said.notes)


def test_a_payload_is_built_once(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    first = read_payload(PAYLOADS, "syscall", cache)
    (first.directory / "kept").touch()

    assert (read_payload(PAYLOADS, "syscall", cache).directory / "kept").exists()


def test_a_payload_that_does_not_compile_says_where(tmp_path: Path) -> None:
    source = tmp_path / "payloads" / "broken"
    source.mkdir(parents=True)
    (tmp_path / "payloads" / "include").symlink_to(PAYLOADS / "include")
    (source / "broken.c").write_text("int main(void) { return nothing; }\n")
    (source / "Makefile").write_text((PAYLOADS / "syscall" / "Makefile").read_text().replace("syscall", "broken"))
    (source / "payload.toml").write_text('summary = "x"\ncommand = ["./broken"]\nkind = "test"\n')

    with pytest.raises(PayloadError, match="nothing"):
        read_payload(tmp_path / "payloads", "broken", Cache(tmp_path / "cache"))


@pytest.mark.parametrize("api", [1, 2, 3])
def test_the_plugin_compiles_for_every_interface_without_a_warning(api: int, tmp_path: Path) -> None:
    assert shared_object(Cache(tmp_path), PLUGIN, [f"-DLAB_API={api}"]).is_file()
