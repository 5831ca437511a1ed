"""A late robot: how late it is, told by recordings, and an agent that is told."""

import json

import numpy as np
import pytest

from agent import api
from agent.run.cli import main
from agent.run.stages.loading import load_agent
from benchmarks.agent.latency import LateTasks
from envs.arm.task import make_task
from envs.episodes.collection import collect
from envs.episodes.exploration import UniformRandom


@pytest.fixture(scope="module")
def late_robot(tmp_path_factory):
    """Returns the folder of a few episodes of an arm whose actions take effect three control steps late."""
    folder = tmp_path_factory.mktemp("late") / "data"
    collect(
        make_task=LateTasks(lambda **options: make_task(env_id="jepa-mpc/Reach-v0", **options), 3),
        vision=None,
        make_policy=UniformRandom,
        policy_name="random",
        policy_values={},
        seed=7,
        num_episodes=6,
        num_steps=40,
        num_workers=1,
        output=folder,
    )
    return folder


def test_recordings_tell_how_late_a_robot_is(smoke_run, late_robot, tmp_path, capsys):
    assert main(["latency", f"run={smoke_run}", f"data={late_robot}", "max_latency=5", f"output={tmp_path}/out"]) == 0
    printed = capsys.readouterr().out
    assert "actions take effect 3 control steps late" in printed and "actor.latency=3" in printed
    found = json.loads((tmp_path / "out" / "latency.json").read_text())
    assert (found["latency"], len(found["error_shares"]), found["num_episodes"]) == (3, 6, 6)
    assert found["num_agreeing"] >= 4
    assert api.latency(run=smoke_run, data=smoke_run / "data", output=tmp_path / "own").latency == 0


def test_an_actor_is_told_by_the_scenario_or_by_its_own_key(smoke_run):
    told = {(): 0, ("scenario=latency",): 2, ("scenario=latency", "actor.latency=0"): 0, ("actor.latency=1",): 1}
    for changes, latency in told.items():
        actor = load_agent(smoke_run, changes)
        actor.reset({"tip": [0.5, 0.1, 0.2]}, seed=0)
        assert len(actor.state.sent) == latency + 1, changes


def test_a_late_world_is_evaluated_and_says_so(smoke_run, tmp_path):
    command = ["evaluate", f"run={smoke_run}", "num_episodes=1", "videos=0", "scenario=latency", "scenario.num_steps=3"]
    assert main([*command, f"output={tmp_path}/late"]) == 0
    found = json.loads((tmp_path / "late" / "results.json").read_text())
    assert found["scenario_values"]["num_steps"] == 3
    assert found["note"] == (
        "actions take effect 3 control steps late, those of baselines too; the agent takes its own to be 3 control "
        "steps late"
    )
    assert main([*command, "actor.latency=0", f"output={tmp_path}/unaware"]) == 0
    unaware = json.loads((tmp_path / "unaware" / "results.json").read_text())
    assert unaware["note"].endswith("the agent takes its own to be 0 control steps late")
    assert unaware["agents"]["actor"] != found["agents"]["actor"]
    assert unaware["agents"]["expert"]["episodes"] == found["agents"]["expert"]["episodes"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["evaluate", "scenario=latency", "scenario.num_steps=50"], "num_steps must be below the 50 control steps"),
        (["evaluate", "actor.latency=9"], "latency must be at most the 3 control steps of a horizon of 3 model steps"),
        (["evaluate", "actor.latency=-1"], "actor.latency must be a whole number of at least 0, or null, got -1"),
        (
            ["evaluate", "scenario=latency", "oracle=1"],
            "evaluate.oracle must be 0 where actions are 2 control steps late",
        ),
        (
            ["evaluate", "scenario=latency", "actor.latency=0", "diagnose=1"],
            "evaluate.diagnose must be 0 where actions are 2 control steps late",
        ),
        (["latency"], "latency needs the folder of recorded episodes"),
        (["latency", "data=nowhere"], "nowhere is not a dataset"),
        (["latency", "data=DATA", "max_latency=60"], "max_latency=60 takes episodes of at least 61 control steps"),
        (["latency", "data=PUSH"], "data must be episodes of the robot that the run was trained on"),
    ],
)
def test_a_mistake_is_one_sentence(smoke_run, smoke_push_run, tmp_path, capsys, command, message):
    known = {"data=DATA": f"data={smoke_run}/data", "data=PUSH": f"data={smoke_push_run}/data"}
    changes = [known.get(change, change) for change in command[1:]]
    assert main([command[0], f"run={smoke_run}", *changes, f"output={tmp_path}/out"]) == 2
    told = capsys.readouterr().err.strip()
    assert message in told and "\n" not in told
    assert not (tmp_path / "out").exists()


def test_what_is_made_for_recordings_is_late():
    make = LateTasks(lambda **options: make_task(env_id="jepa-mpc/Reach-v0", **options), 2)
    task = make(vision=None, film_size=None)
    frame = task.reset(0)
    for _ in range(2):
        after = task.step(np.ones(3, np.float32))
        np.testing.assert_allclose(after.readings["tip"], frame.readings["tip"], atol=1e-3)
    assert np.abs(task.step(np.ones(3, np.float32)).readings["tip"] - frame.readings["tip"]).max() > 5e-3
