"""What the command line does, from Python: the same keys, the same folders, the same numbers."""

import json
import subprocess
import sys

import pytest
import torch

from agent import api
from agent.run.cli import main
from envs.arm.reach import ReachEnv
from jepa_mpc.errors import UserError

SCRIPT = """\
from agent import api

run = api.run(
    env="reach", experiment="smoke", output="out", planner={"num_iterations": 2},
    collect={"num_episodes": 16}, evaluate={"num_episodes": 1, "videos": 0, "num_workers": 2},
)
print(run.results["agents"]["actor"]["success_at_end"]["n"], run.agent.world_model.action_repeat)
"""


@pytest.mark.slow
def test_a_script_needs_no_main_guard(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "3/3 evaluate" in done.stdout  # says on the way what it does
    assert done.stdout.splitlines()[-1] == "1 1"
    assert json.loads((tmp_path / "out" / "results.json").read_text())["env"] == "reach"


def test_an_evaluation_finds_what_the_command_line_finds(smoke_run, tmp_path):
    evaluation = api.evaluate(
        run=smoke_run, output=tmp_path / "python", num_episodes=2, videos=0, **{"planner.num_samples": 32}
    )
    shell = ["num_episodes=2", "videos=0", "planner.num_samples=32"]
    assert main(["evaluate", f"run={smoke_run}", f"output={tmp_path}/shell", *shell]) == 0
    typed = json.loads((tmp_path / "shell" / "results.json").read_text())
    assert evaluation.results["agents"] == typed["agents"]
    assert json.loads(evaluation.results_file.read_text()) == evaluation.results
    assert evaluation.passed and "actor" in evaluation.report
    agent = evaluation.agent  # acts as it was evaluated
    agent.reset({"tip": [0.5, 0.1, 0.2]}, seed=0)
    agent.act({"tip": [0.4, -0.1, 0.1], "joint_position": [0.0] * 7, "joint_velocity": [0.0] * 7})
    assert agent.state.choices[-1].num_evaluations == 64  # of two iterations


def test_what_falls_short_says_so(smoke_run, tmp_path):
    evaluation = api.evaluate(run=smoke_run, output=tmp_path, num_episodes=1, videos=0, fail_under=0.02)
    assert not evaluation.passed


def test_what_is_recorded_is_at_hand_and_can_be_learned_from(tmp_path):
    collection = api.collect(num_episodes=8, num_steps=20, output=tmp_path / "data")
    assert collection.episodes.num_episodes == 8
    training = api.train(data=collection.folder, output=tmp_path / "model", experiment="smoke")
    assert training.checkpoint.is_file()
    assert training.agent.world_model.action_repeat == 1


def test_planners_are_compared(smoke_run, tmp_path):
    comparison = api.compare_planners(run=smoke_run, output=tmp_path, planners=["cem"], budgets=[8], num_episodes=1)
    assert [it["planner"] for it in comparison.results["settings"]] == ["cem"]
    assert comparison.picture.is_file() and "cem" in comparison.report


def test_a_mistake_is_a_users_and_one_sentence(smoke_run):
    for call, message in [
        (lambda: api.run(emv="reach"), "there is no config key 'emv', did you mean 'env'"),
        (lambda: api.evaluate(), "evaluate needs the folder of a finished run"),
        (lambda: api.compare_planners(run=smoke_run, planner="icem"), "names one planner"),
    ]:
        with pytest.raises(UserError, match=message):
            call()


@pytest.mark.parametrize("num_workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_an_environment_does_to_torch_reaches_nobody_else(smoke_run, tmp_path, monkeypatch, num_workers):
    step = ReachEnv.step

    def meddle(env, action):
        torch.set_grad_enabled(False)
        torch.set_num_threads(3)
        torch.set_default_dtype(torch.float64)
        return step(env, action)

    monkeypatch.setattr(ReachEnv, "step", meddle)
    before = torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_dtype()
    api.collect(num_episodes=2, num_steps=5, num_workers=num_workers, output=tmp_path / "data")
    assert (torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_dtype()) == before
    api.evaluate(run=smoke_run, output=tmp_path / "out", num_episodes=1, num_workers=num_workers, videos=1)
    assert (torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_dtype()) == before
