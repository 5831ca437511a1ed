"""The documentation does what it says: commands and Python run, and what newcomers are told to write works."""

import shlex
import shutil
import subprocess
import sys
from contextlib import chdir
from importlib import import_module

import numpy as np
import pytest
from yaml import safe_load

from agent.run.cli import main
from envs.adapters.gymnasium import make_task

FENCES = {"bash", "python", "yaml", "console", "text"}
"""CONTRIBUTING.md says what they mean."""

FILES = {"envs/slide.py", "configs/env/slide.yaml", "configs/env/pendulum.yaml"}
"""What a reader is told to write, each used by a test below."""

BRIEF = {
    "run": ["evaluate.num_episodes=1", "evaluate.videos=0", "collect.num_episodes=24"],
    "collect": ["num_episodes=24"],
    "train": [],
    "evaluate": ["num_episodes=1", "videos=0"],
    "compare-planners": ["num_episodes=1", "budgets=[8]"],
    "benchmark": ["num_workers=1", "evaluate.videos=0"],
}
BRIEF_PIXELS = ["renderer=raycast", "observation.image_size=16", "training.num_steps=30", "pictures.num_examples=0"]


def commands(blocks):
    lines = [
        line for block in blocks if block.language == "bash" for line in block.code.replace("\\\n", " ").split("\n")
    ]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def scripts(blocks):
    return [block.code for block in blocks if block.language == "python" and not block.title]


def in_brief(command, arguments):
    """Returns the arguments and values that take seconds, where a command has such and a page says no other."""
    if command not in BRIEF:
        return arguments
    brief = ["experiment=smoke", *BRIEF[command]] + (BRIEF_PIXELS if "observation=pixels" in arguments else [])
    said = {argument.partition("=")[0] for argument in arguments}
    return [*arguments, *(it for it in brief if it.partition("=")[0] not in said)]


@pytest.fixture(scope="module")
def run_page(tmp_path_factory, pages, blocks_of):
    """Returns what runs a page in the folder in which all pages before it were run, and gives that folder."""
    folder, done = tmp_path_factory.mktemp("reader"), []

    def run(page):
        for before in pages[len(done) : pages.index(page) + 1]:
            blocks = blocks_of(before)
            done.append(before)  # a page that fails is not run again for those behind it
            with chdir(folder):
                for program, command, *arguments in commands(blocks):
                    assert program == "jepa-mpc", f"{before.name}: {program} is no jepa-mpc; show it as ```console"
                    fine = {0, 1} if any("fail_under" in it for it in arguments) else {0}  # nothing is learned here
                    assert main([command, *in_brief(command, arguments)]) in fine, (before.name, command, arguments)
                for code in scripts(blocks):
                    exec(compile(code, before.name, "exec"), {"__name__": "__main__"})  # noqa: S102
        return folder

    return run


def test_the_blocks_of_a_page_run(run_page, page):
    run_page(page)


@pytest.mark.slow
def test_the_blocks_run_exactly_as_written(tmp_path, pages, blocks_of):
    for page in pages:
        blocks = blocks_of(page)
        for _, command, *arguments in commands(blocks):
            subprocess.run([sys.executable, "-m", "agent.run.cli", command, *arguments], cwd=tmp_path, check=True)
        for code in scripts(blocks):
            subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_a_fence_says_what_is_done_with_its_block(document, blocks_of):
    assert {block.language for block in blocks_of(document)} <= FENCES


def test_a_block_of_yaml_is_yaml(document, blocks_of):
    for block in blocks_of(document):
        if block.language == "yaml":
            assert isinstance(safe_load(block.code), dict | list)


@pytest.fixture(scope="module")
def files(pages, blocks_of):
    """Returns path to content of the files that a reader is told to write."""
    return {block.title: block.code for page in pages for block in blocks_of(page) if block.title}


@pytest.fixture
def checkout(tmp_path, root):
    """Returns a copy of this tree that a newcomer may change, and how to run a module in it."""
    for name in ("agent", "benchmarks", "configs", "envs", "jepa_mpc", "planners", "world_model", "tests"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    shutil.copy(root / "mkdocs.yml", tmp_path)

    def run(*arguments):
        bootstrap = "import runpy, sys; sys.path.insert(0, '.'); runpy.run_module(sys.argv.pop(1), run_name='__main__')"
        return subprocess.run([sys.executable, "-c", bootstrap, *arguments], cwd=tmp_path, check=True)

    return tmp_path, run


def test_each_file_that_a_reader_is_told_to_write_is_tested_here(files):
    assert set(files) == FILES


def test_the_goals_of_the_environment_of_ones_own_lie_where_it_says(files, tmp_path, monkeypatch):
    code = files["envs/slide.py"].replace("Slide-v0", "SlideHere-v0")
    (tmp_path / "slide_of_the_docs.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    slide = import_module("slide_of_the_docs").SlideEnv()
    assert all(0.10 <= slide.reset(seed=seed)[0]["desired_goal"][2] <= 0.11 for seed in range(5))


@pytest.mark.slow
def test_an_environment_is_one_file_and_one_yaml(files, checkout):
    folder, run = checkout
    for path in ("envs/slide.py", "configs/env/slide.yaml"):
        (folder / path).write_text(files[path])
    brief = ("experiment=smoke", "collect.num_episodes=24", "evaluate.num_episodes=1", "evaluate.videos=0")
    run("agent.run.cli", "run", "env=slide", *brief, "output=slide")
    run("agent.run.cli", "check-data", "slide/data")


def test_somebody_elses_robot_is_a_yaml_alone(files):
    config = safe_load(files["configs/env/pendulum.yaml"])
    keys = {key: it for key, it in config.items() if not key.startswith("_")}
    task = make_task(**keys, vision=None, film_size=None)
    upright = task.reset(0).goal["direction"]
    assert upright.tolist() == [1.0, 0.0] and task.spec.num_steps == 200
    assert np.isfinite(task.step(task.spec.actions.idle_action).readings["speed"]).all()


@pytest.mark.slow
def test_a_planner_is_one_file_and_one_yaml(checkout, run_page, pages):
    run_folder = run_page(pages[0]) / "runs" / "reach"
    folder, run = checkout
    code = (folder / "planners" / "cem.py").read_text()
    (folder / "planners" / "twin.py").write_text(code.replace("CEM", "Twin"))
    yaml = (folder / "configs" / "planner" / "cem.yaml").read_text()
    (folder / "configs" / "planner" / "twin.yaml").write_text(yaml.replace("planners.cem.CEM", "planners.twin.Twin"))
    run("pytest", "-q", "tests/contracts/test_planners.py", "-k", "twin")
    run("agent.run.cli", "evaluate", f"run={run_folder}", "planner=twin", "num_episodes=1", "videos=0", "output=out")
