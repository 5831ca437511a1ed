"""A finished run whose critics go on learning while its agent is evaluated."""

import json
import shutil

import pytest
import torch

from agent import load_agent
from agent.actor import Actor
from agent.learning.online import OnlineActor
from agent.run.cli import main
from agent.run.config.composing import compose_config
from agent.run.config.saved import read_config
from agent.run.stages.loading import (
    EMBEDDINGS_FILE,
    build_actor,
    checkpoint_path,
    load_modules,
    recorded_experience,
)
from envs.arm.task import make_task
from envs.episodes.rollout import rollout
from world_model.jepa import JEPA
from world_model.training.checkpoint import file_sha256

ONLINE = "actor.learn_online=true"
UNHURRIED = [ONLINE, "evaluate.split=validation", "evaluate.num_workers=1", "evaluate.videos=0"]


def act(agent, *, num_episodes):
    task = make_task(env_id="jepa-mpc/Push-v0", vision=None, film_size=None)
    for seed in range(num_episodes):
        rollout(task, agent, seed=seed, num_steps=40)


def weights(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(before, after):
    return all(tensor.equal(after[name]) for name, tensor in before.items())


def records(folder):
    """Returns the records of the agent, and none of their latencies."""
    lines = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()[1:]]
    return [line["episode"]["record"] for line in lines if line["agent"] == "actor"]


def test_the_critics_of_a_run_learn_and_no_other_part_does(smoke_push_run):
    config = compose_config([ONLINE], base=read_config(smoke_push_run))
    modules = load_modules(config, checkpoint_path(smoke_push_run))
    agent = build_actor(config, modules, recorded=recorded_experience(config, modules, smoke_push_run))
    before = {section: weights(module) for section, module in modules.sections.items()}
    critics = {name: weights(critic) for name, critic in modules.critics.items()}
    act(agent, num_episodes=2)
    changed = {name for name, module in modules.sections.items() if not same(before[name], module.state_dict())}
    assert set(before) == {"world_model", "intrinsic", "critic", "policy"} and changed == {"critic"}
    assert not any(same(critics[name], critic.state_dict()) for name, critic in modules.critics.items())


def test_an_agent_learns_without_its_data_too(smoke_push_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(smoke_push_run, run, ignore=shutil.ignore_patterns("data"))
    act(load_agent(run, [ONLINE]), num_episodes=2)


def test_no_picture_that_was_learned_from_is_embedded_again(smoke_pixels_run, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(smoke_pixels_run, run)
    config = compose_config([ONLINE], base=read_config(run))
    modules = load_modules(config, checkpoint_path(run))
    with monkeypatch.context() as blind:
        blind.setattr(JEPA, "encode", None)
        kept = recorded_experience(config, modules, run)
    (run / EMBEDDINGS_FILE).write_bytes(b"damaged")
    fresh = recorded_experience(config, modules, run)
    torch.testing.assert_close(kept.embeddings, fresh.embeddings, rtol=1e-3, atol=1e-3)  # a GPU may have kept them
    assert (run / EMBEDDINGS_FILE).read_bytes() == b"damaged"  # a finished run stays as it is


def test_an_agent_learns_only_if_told_to(smoke_push_run):
    assert type(load_agent(smoke_push_run)) is Actor
    assert type(load_agent(smoke_push_run, [ONLINE])) is OnlineActor


@pytest.mark.slow
def test_an_evaluation_that_was_interrupted_begins_again_and_says_that_it_is_not_reproducible(smoke_push_run, tmp_path):
    checkpoint = file_sha256(checkpoint_path(smoke_push_run))
    command = ["evaluate", f"run={smoke_push_run}", *UNHURRIED, "num_episodes=3", f"output={tmp_path}/online"]
    assert main(command) == 0
    whole = records(tmp_path / "online")
    path = tmp_path / "online" / "records.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))
    assert main(command) == 0
    assert records(tmp_path / "online") == whole and len(whole) == 3
    assert json.loads((tmp_path / "online" / "results.json").read_text())["reproducible"] is False
    assert file_sha256(checkpoint_path(smoke_push_run)) == checkpoint


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", *UNHURRIED, "split=evaluation"], "set evaluate.split=validation"),
        (["evaluate", *UNHURRIED, "num_workers=2"], "set evaluate.num_workers=1, got 2"),
        (["evaluate", "online.own_share=2"], "online.own_share must be above 0 and at most 1 and finite, got 2.0"),
        (["evaluate", "actor.learn_online=1"], "actor.learn_online must be true or false"),
        (["compare-planners", ONLINE], "set actor.learn_online=false"),
    ],
)
def test_what_does_not_go_with_learning_online_gets_one_sentence(smoke_push_run, tmp_path, capsys, arguments, message):
    assert main([arguments[0], f"run={smoke_push_run}", f"output={tmp_path}/out", *arguments[1:]]) == 2
    sentence = capsys.readouterr().err.strip()
    assert message in sentence and "\n" not in sentence
    assert not (tmp_path / "out").exists()


def test_a_run_without_critics_is_refused_before_it_begins(tmp_path, capsys):
    command = ["run", "env=reach", *UNHURRIED, "critic=[]", "policy=null", f"output={tmp_path}/out"]
    assert main(command) == 2
    assert "needs a critic that learns: add one, as critic=[cost_to_go]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
