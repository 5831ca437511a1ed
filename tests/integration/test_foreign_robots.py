"""Robots that nobody here has met: each is collected, learned and evaluated by a file of its own and a yaml."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TOYS = ROOT / "tests" / "envs" / "adapters" / "toys.py"
CHANGES = {"buttons": ["planner=categorical_cem"], "forces": [], "sees": ["training.augmentation.max_shift=1"]}
PACKAGES = ("agent", "configs", "envs", "jepa_mpc", "planners", "world_model")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of this tree with the toys' file and yamls in it."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOYS, folder)
    sys.path.insert(0, str(TOYS.parent))
    try:
        yamls = importlib.import_module("toys").YAMLS
    finally:
        sys.path.remove(str(TOYS.parent))
    model = yaml.safe_load((folder / "configs" / "env" / "reacher.yaml").read_text())
    nulls = {key: None for key in model if not key.startswith("_")} | {"options": {}}
    for name, text in yamls.items():
        values = {**model, **nulls, **yaml.safe_load(text)}
        (folder / "configs" / "env" / f"{name}.yaml").write_text(yaml.safe_dump(values))
    return folder


def call(folder, *arguments):
    script = "import sys; sys.path.insert(0, '.'); from agent.run.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", CHANGES)
def test_it_runs_from_its_yaml_to_its_results(checkout, name):
    asked = ["run", f"env={name}", "experiment=smoke", f"output=runs/{name}", "evaluate.videos=0", *CHANGES[name]]
    done = call(checkout, *asked)
    assert done.returncode == 0, done.stderr
    results = json.loads((checkout / "runs" / name / "results.json").read_text())
    agents = {"actor", "random"} | ({"zero"} if name != "forces" else set())
    assert set(results["agents"]) == agents  # there is no expert, and not everybody can do nothing
    ended = {episode["terminated"] for episode in results["agents"]["random"]["episodes"]}
    assert True in ended if name == "forces" else ended == {False}


REFUSED = [
    (["env=buttons"], "CEM plans continuous actions, and there are only 3 discrete ones: take categorical_cem"),
    (
        ["env=forces", "exploration=random_points"],
        "needs an effector, and toys/Forces-v0 has none: choose held_random",
    ),
    (["env=forces", "scenario=shove"], "needs something that can be displaced, and toys/Forces-v0 has nothing"),
    (["env=forces", "evaluate.oracle=2"], "needs a task that can be saved and restored, and toys/Forces-v0 cannot"),
    (["env=sees", "observation=pixels", "renderer=raycast"], "observation.cameras must be none, got ['fixed']"),
    (["env=lacking"], "configs/env/lacking.yaml must have every key of its target: missing a required argument"),
    (["env=absent"], "pip install 'jepa-mpc[benchmarks]'"),
]
REFUSALS = """
import contextlib, io, json, sys
sys.path.insert(0, ".")
from agent.run.cli import main
for changes in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as said:
        code = main(["run", *changes, "experiment=smoke", "output=runs/refused"])
    print(json.dumps([code, said.getvalue()]))
"""


@pytest.fixture(scope="module")
def refusals(checkout):
    """Returns exit code and stderr of each of the refused commands, which one process gives one after the other."""
    whole = yaml.safe_load((checkout / "configs" / "env" / "forces.yaml").read_text())
    lacking = {key: value for key, value in whole.items() if key != "num_steps"}
    absent = {**whole, "env_id": "no_such_package:toys/Forces-v0", "extra": "benchmarks"}
    for name, values in (("lacking", lacking), ("absent", absent)):
        (checkout / "configs" / "env" / f"{name}.yaml").write_text(yaml.safe_dump(values))
    command = [sys.executable, "-c", REFUSALS, json.dumps([changes for changes, _ in REFUSED])]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]


@pytest.mark.parametrize("index", range(len(REFUSED)))
def test_what_a_robot_lacks_is_one_sentence_before_anything_is_written(checkout, refusals, index):
    assert len(refusals) == len(REFUSED)
    code, said = refusals[index]
    assert code == 2
    assert REFUSED[index][1] in said and said.splitlines()[-1].startswith("jepa-mpc run: ")
    assert not (checkout / "runs" / "refused").exists()
