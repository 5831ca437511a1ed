"""What every scenario in configs/scenario promises, whoever wrote it."""

import pickle
from importlib.resources import files

import gymnasium
import numpy as np
import pytest
from omegaconf import OmegaConf

from agent.evaluation.episodes import evaluate_episode
from agent.run.config.building import build
from agent.run.config.composing import group_names
from envs.episodes.exploration import UniformRandom


@pytest.fixture(scope="module", params=["jepa-mpc/Push-v0", "jepa-mpc/PushOriented-v0"])
def env(request):
    return gymnasium.make(f"envs:{request.param}").unwrapped


@pytest.fixture(params=group_names()["scenario"])
def make_scenario(request):
    return build(OmegaConf.load(files("configs").joinpath("scenario", f"{request.param}.yaml")))


def evaluate(env, scenario, seed):
    policy = UniformRandom(env.description)
    return evaluate_episode(env, policy, seed=seed, num_steps=scenario.num_steps, scenario=scenario)


def test_its_maker_can_be_sent_to_another_process(env, make_scenario):
    scenario = pickle.loads(pickle.dumps(make_scenario))(env.description)  # noqa: S301 - our own bytes
    assert scenario.num_steps == make_scenario(env.description).num_steps >= env.description.num_steps


def test_a_record_is_a_pure_function_of_the_seed(env, make_scenario):
    scenario = make_scenario(env.description)
    first = [evaluate(env, scenario, seed).record for seed in (3, 4, 5)]
    again = [evaluate(env, make_scenario(env.description), seed).record for seed in (5, 4, 3)]
    assert first == again[::-1]
    assert len({tuple(record.final_distances.values()) for record in first}) == 3


def test_an_episode_has_its_length_and_starts_where_the_task_starts(env, make_scenario):
    scenario = make_scenario(env.description)
    assert len(evaluate(env, scenario, 3).latencies_ms) == scenario.num_steps
    staged_env, _ = scenario.stage(env, UniformRandom(env.description), seed=3)
    staged, plain = staged_env.reset(seed=3)[0], env.reset(seed=3)[0]
    for name, reading in plain.items():
        np.testing.assert_array_equal(staged[name], reading)
