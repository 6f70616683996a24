"""A plan as a CI's own matrix, and the examples that use it, against the CIs' schemas."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from check_jsonschema import main as check_jsonschema
from click.testing import CliRunner
from invoke import Collection
from invoke.parser import Parser
from test_cells import plan

import tasks
from lab.campaign.cells import shard
from lab.model.matrix import Plan
from lab.report.ci import MOST_GITHUB, github_text, gitlab_text

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "ci-examples"
WRONG = {
    "github": [("    runs-on: ubuntu-latest\n", ""), ("    needs: plan\n", "    needs: 5\n"), ("jobs:", "jobs: [")],
    "gitlab": [
        ("stages: [plan, run]", "stages: 5"),
        ("    strategy: depend", "    strategy: wait"),
        ("  script:\n", "  script: {}\n"),
    ],
}
SCHEMAS = {"github": "vendor.github-workflows", "gitlab": "vendor.gitlab-ci"}


def whole() -> Plan:
    made = plan(series=("short", "long"), upto="all", payloads=("any",))
    return replace(made, inputs={kernel.id: kernel.id for kernel in made.kernels})


def parts() -> list[Plan]:
    return [shard(whole(), number, 7) for number in range(1, 8)]


def check(ci: str, path: Path) -> tuple[int, str]:
    """Validate a file; exit status and what was said."""
    done = CliRunner().invoke(check_jsonschema, ["--builtin-schema", SCHEMAS[ci], str(path)])
    return done.exit_code, done.output


@pytest.mark.parametrize("ci", SCHEMAS)
def test_the_example_is_what_the_ci_takes(ci: str) -> None:
    assert check(ci, EXAMPLES / f"{ci}.yml")[0] == 0


@pytest.mark.parametrize("ci", SCHEMAS)
def test_an_example_that_the_ci_would_refuse_is_seen(ci: str, tmp_path: Path) -> None:
    text = (EXAMPLES / f"{ci}.yml").read_text()
    path = tmp_path / f"{ci}.yml"
    for old, new in WRONG[ci]:
        assert old in text
        path.write_text(text.replace(old, new))
        assert check(ci, path)[0] != 0


@pytest.mark.parametrize("ci", SCHEMAS)
def test_every_lab_line_of_an_example_exists(ci: str) -> None:
    lines = re.findall(r"\./inv [^\n|&;>)`\"']+", (EXAMPLES / f"{ci}.yml").read_text() + gitlab_text("default", parts()))

    assert len(lines) > 3
    for line in lines:
        words = re.sub(r"\$\{\{[^}]*\}\}|\$\w+", "x", line).split()[1:]
        Parser(contexts=Collection.from_module(tasks).to_contexts()).parse_argv(words)


def test_github_gets_a_matrix_it_takes(tmp_path: Path) -> None:
    text = github_text("default", parts())
    matrix = json.loads(text)

    assert "\n" not in text
    assert [job["shard"] for job in matrix["include"]] == [f"{n}/7" for n in range(1, 8)]
    assert matrix["include"][0]["label"] == "short.k01.default.a77e8f2f"
    job = {"runs-on": "x", "strategy": {"matrix": matrix}, "steps": [{"run": "./inv matrix --shard ${{ matrix.shard }}"}]}
    path = tmp_path / "workflow.yml"
    path.write_text(json.dumps({"on": "push", "jobs": {"matrix": job}}))
    assert check("github", path)[0] == 0


def test_gitlab_gets_a_child_pipeline_it_takes(tmp_path: Path) -> None:
    path = tmp_path / "child.yml"
    path.write_text(gitlab_text("default", parts()))

    assert check("gitlab", path)[0] == 0
    jobs = json.loads(path.read_text())["matrix"]["parallel"]["matrix"]
    assert [(job["MATRIX"], job["SHARD"]) for job in jobs] == [("default", f"{n}/7") for n in range(1, 8)]


def test_the_key_is_that_of_what_is_built() -> None:
    keys = [part.key for part in parts()]

    assert len(set(keys)) == len(keys)
    assert keys == [part.key for part in parts()]
    changed = replace(parts()[0], inputs={**parts()[0].inputs, parts()[0].cells[0].patched.id: "another patch"})
    assert changed.key != keys[0]


def test_more_jobs_than_a_ci_takes_are_refused() -> None:
    for text in (github_text, gitlab_text):
        with pytest.raises(ValueError, match="more than the"):
            text("default", parts()[:1] * (MOST_GITHUB + 1))
