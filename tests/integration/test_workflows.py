"""What CI is told to do can be done: commands, targets and files are there, and a threshold can be decided."""

import re
import shlex
from pathlib import Path

import pytest
from yaml import safe_load

from agent.run.cli.commands import COMMANDS
from agent.run.config.composing import compose_config

ROOT = Path(__file__).parents[2]
OURS, RECIPE = ROOT / ".github" / "workflows" / "ci.yml", ROOT / "examples" / "ci" / "evaluate.yml"


def steps(workflow):
    return [step for job in safe_load(workflow.read_text())["jobs"].values() for step in job["steps"]]


def commands(workflow, program):
    """Returns the arguments of every call of a program, in order."""
    lines = [line for step in steps(workflow) for line in step.get("run", "").splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [it[1:] for it in words if it and it[0] == program]


@pytest.mark.parametrize("workflow", [OURS, RECIPE], ids=lambda path: path.stem)
def test_a_workflow_is_one_that_runs_on_push_and_pull_request(workflow):
    told = safe_load(workflow.read_text())
    assert told[True].keys() == {"push", "pull_request"}  # to YAML 1.1, on is true
    assert all(job["runs-on"] == "ubuntu-latest" and job["timeout-minutes"] for job in told["jobs"].values())
    assert all(("run" in step) != ("uses" in step) for step in steps(workflow))
    assert [step for step in steps(workflow) if "upload-artifact" in step.get("uses", "")][-1]["if"] == "always()"


def test_our_own_runs_targets_of_the_makefile():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    called = [arguments[0] for arguments in commands(OURS, "make")]
    assert called == ["test", "canary"] and set(called) <= set(targets)


def test_the_commands_of_the_recipe_compose_and_lead_from_one_to_the_next():
    outputs = set()
    for command, *arguments in commands(RECIPE, "jepa-mpc"):
        assert command in COMMANDS
        keys = dict(argument.split("=", 1) for argument in arguments)
        compose_config(arguments, section=command)
        assert {keys[key] for key in ("data", "run") if key in keys} <= outputs
        outputs.add(keys["output"])
    kept = steps(RECIPE)[-1]["with"]["path"].split()
    assert kept and all(str(Path(path).parent) in outputs for path in kept if not path.endswith("/"))


def test_the_threshold_of_the_recipe_can_be_decided():
    (evaluation,) = [arguments for command, *arguments in commands(RECIPE, "jepa-mpc") if command == "evaluate"]
    keys = dict(argument.split("=", 1) for argument in evaluation)
    assert 0.025 ** (1 / int(keys["num_episodes"])) >= float(keys["fail_under"])


def test_the_page_shows_the_recipe_as_it_is():
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "ci.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    assert shown == RECIPE.read_text()
