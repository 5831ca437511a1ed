"""What every scenario in configs/scenario promises, whoever wrote it."""

import pickle
from importlib.resources import files

import numpy as np
import pytest
from omegaconf import OmegaConf

from agent.evaluation.episodes import evaluate_episode
from agent.run.config.building import build
from agent.run.config.composing import group_names
from envs.arm.task import make_task
from envs.episodes.exploration import UniformRandom


@pytest.fixture(scope="module", params=["jepa-mpc/Push-v0", "jepa-mpc/PushOriented-v0", "jepa-mpc/PushTwo-v0"])
def task(request):
    return make_task(env_id=f"envs:{request.param}", vision=None, film_size=None)


@pytest.fixture(params=group_names()["scenario"])
def make_scenario(request):
    return build(OmegaConf.load(files("configs").joinpath("scenario", f"{request.param}.yaml")))


def evaluate(task, scenario, seed):
    policy = UniformRandom(task.spec)
    return evaluate_episode(task, policy, seed=seed, num_steps=scenario.num_steps, scenario=scenario)


def test_its_maker_can_be_sent_to_another_process(task, make_scenario):
    scenario = pickle.loads(pickle.dumps(make_scenario))(task.spec)  # noqa: S301 - our own bytes
    assert scenario.num_steps == make_scenario(task.spec).num_steps >= task.spec.num_steps


def test_a_record_is_a_pure_function_of_the_seed(task, make_scenario):
    scenario = make_scenario(task.spec)
    first = [evaluate(task, scenario, seed).record for seed in (3, 4, 5)]
    again = [evaluate(task, make_scenario(task.spec), seed).record for seed in (5, 4, 3)]
    assert first == again[::-1]
    assert len({tuple(record.final_distances.values()) for record in first}) == 3


def test_an_episode_has_its_length_and_starts_where_the_task_starts(task, make_scenario):
    scenario = make_scenario(task.spec)
    assert len(evaluate(task, scenario, 3).latencies_ms) == scenario.num_steps
    staged_task, _ = scenario.stage(task, UniformRandom(task.spec), seed=3)
    staged, plain = staged_task.reset(3).readings, task.reset(3).readings
    for name, reading in plain.items():
        np.testing.assert_array_equal(staged[name], reading)
