"""The README does what it says: its commands run, its Python runs, and what it tells newcomers to write works."""

import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from yaml import safe_load

from agent.run.cli import main
from envs.adapters.gymnasium import make_task

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands():
    return [line.split() for block in blocks("bash") for line in block.splitlines()]


def python_blocks():
    return [block for block in blocks("python") if "SlideEnv" not in block]


def test_the_commands_and_the_python_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for program, command, *arguments in commands():
        assert program == "jepa-mpc"
        brief = ["experiment=smoke"] if any("=" in argument for argument in arguments) else []
        brief += ["budgets=[8,null]"] if command == "compare-planners" else []
        assert main([command, *arguments, *brief]) == 0
    for code in python_blocks():
        exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})  # noqa: S102


@pytest.mark.slow
def test_the_commands_and_the_python_run_exactly_as_written(tmp_path):
    for _, command, *arguments in commands():
        subprocess.run([sys.executable, "-m", "agent.run.cli", command, *arguments], cwd=tmp_path, check=True)
    for code in python_blocks():
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


@pytest.fixture
def checkout(tmp_path):
    """Returns a copy of this tree that a newcomer may change, and how to run a module in it."""
    for name in (
        "agent",
        "benchmarks",
        "configs",
        "envs",
        "jepa_mpc",
        "planners",
        "world_model",
        "tests",
        "pyproject.toml",
    ):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)

    def run(*arguments):
        bootstrap = "import runpy, sys; sys.path.insert(0, '.'); runpy.run_module(sys.argv.pop(1), run_name='__main__')"
        return subprocess.run([sys.executable, "-c", bootstrap, *arguments], cwd=tmp_path, check=True)

    return tmp_path, run


def test_the_goals_of_the_environment_of_ones_own_lie_where_it_says(tmp_path, monkeypatch):
    code = next(block for block in blocks("python") if "SlideEnv" in block)
    (tmp_path / "slide_of_the_readme.py").write_text(code.replace("Slide-v0", "SlideHere-v0"))
    monkeypatch.syspath_prepend(tmp_path)
    slide = import_module("slide_of_the_readme").SlideEnv()
    assert all(0.10 <= slide.reset(seed=seed)[0]["desired_goal"][2] <= 0.11 for seed in range(5))


def test_an_environment_is_one_file_and_one_yaml(checkout):
    folder, run = checkout
    code = next(block for block in blocks("python") if "SlideEnv" in block)
    (folder / "envs" / "slide.py").write_text(code)
    (folder / "configs" / "env" / "slide.yaml").write_text(blocks("yaml")[0])
    command = ("agent.run.cli", "run", "env=slide", "experiment=smoke", "evaluate.num_episodes=1", "output=slide")
    run(*command)
    run("agent.run.cli", "check-data", "slide/data")


def test_somebody_elses_robot_is_a_yaml_alone():
    keys = {key: it for key, it in safe_load(blocks("yaml")[1]).items() if not key.startswith("_")}
    task = make_task(**keys, vision=None, film_size=None)
    upright = task.reset(0).goal["direction"]
    assert upright.tolist() == [1.0, 0.0] and task.spec.num_steps == 200
    assert np.isfinite(task.step(task.spec.actions.idle_action).readings["speed"]).all()


def test_a_planner_is_one_file_and_one_yaml(checkout, smoke_run):
    folder, run = checkout
    code = (folder / "planners" / "cem.py").read_text()
    (folder / "planners" / "twin.py").write_text(code.replace("CEM", "Twin"))
    yaml = (folder / "configs" / "planner" / "cem.yaml").read_text()
    (folder / "configs" / "planner" / "twin.yaml").write_text(yaml.replace("planners.cem.CEM", "planners.twin.Twin"))
    run("pytest", "-q", "tests/contracts/test_planners.py", "-k", "twin")
    run("agent.run.cli", "evaluate", f"run={smoke_run}", "planner=twin", "num_episodes=1", "videos=0", "output=out")
