"""Goals that are moments of episodes."""

from functools import partial
from importlib.resources import files

import numpy as np
import pytest
from omegaconf import OmegaConf

from agent.evaluation.episodes import evaluate_episode
from agent.evaluation.scenarios.episode_goals import LONGEST_PRELUDE, EpisodeGoals
from agent.evaluation.scenarios.latency import Latency, LateTask
from agent.evaluation.scenarios.types import ScenarioError
from agent.evaluation.scenarios.undisturbed import Undisturbed
from agent.run.config.building import build
from envs.arm.task import make_task
from envs.episodes.exploration import UniformRandom, Zero
from envs.vision import Vision

VISION = Vision(cameras=("fixed",), image_size=32, proprioception=False, backends=("raycast",))


@pytest.fixture(scope="module", params=["Push", "Reach"])
def task(request):
    return make_task(env_id=f"jepa-mpc/{request.param}-v0", vision=VISION, film_size=None)


@pytest.fixture(scope="module")
def explore():
    return build(OmegaConf.load(files("configs").joinpath("exploration", "contact_seeking.yaml")))


def goals_of(task, *, offset, explore=UniformRandom, within=Undisturbed):
    return EpisodeGoals(task.spec, within=within, explore=explore, offset=offset)


def staged(task, seed, **options):
    return goals_of(task, **options).stage(task, Zero(task.spec), seed=seed)[0].reset(seed)


def test_a_goal_is_what_the_same_episode_came_to(task):
    """Whoever repeats what the explorer did is there after as many steps, to the last pixel."""

    class Recorded(UniformRandom):
        def reset(self, goal, *, seed):
            super().reset(goal, seed=seed)
            self.sent.clear()

        def act(self, observation):
            self.sent.append(super().act(observation))
            return self.sent[-1]

    explorer = Recorded(task.spec)
    explorer.sent = []
    offset = 30
    frame = staged(task, 3, offset=offset, explore=lambda _: explorer)
    assert not frame.verdict.success and offset <= len(explorer.sent) <= offset + LONGEST_PRELUDE
    for action in explorer.sent[-offset:]:
        later = task.step(action)
    assert later.verdict.success and min(distance for distance, _ in later.verdict.distances.values()) < 1e-6
    np.testing.assert_array_equal(later.readings["fixed_camera"], frame.goal["fixed_camera"])


def test_start_and_goal_are_a_function_of_the_seed_and_are_no_others_with_cameras(task, explore):
    if task.spec.task_id.endswith("Reach-v0"):
        explore = UniformRandom
    blind = make_task(env_id=f"{task.spec.task_id}", vision=None, film_size=None)
    for seed in (5, 6):
        frames = [staged(it, seed, offset=25, explore=explore) for it in (task, blind, task)]
        for frame in frames[1:]:
            np.testing.assert_array_equal(frame.readings["tip"], frames[0].readings["tip"])
        np.testing.assert_array_equal(frames[0].goal["fixed_camera"], frames[2].goal["fixed_camera"])
    assert not np.array_equal(frames[0].readings["tip"], staged(task, 5, offset=25, explore=explore).readings["tip"])


def test_farther_goals_are_farther(explore):
    task = make_task(env_id="jepa-mpc/Push-v0", vision=None, film_size=None)
    near, far = (
        np.median(
            [
                staged(task, seed, offset=offset, explore=explore).verdict.distances["block_position"][0]
                for seed in range(40)
            ]
        )
        for offset in (25, 100)
    )
    assert far > near > 0.05, "what is reached already is no goal"


def test_other_scenarios_take_place_within(explore):
    task = make_task(env_id="jepa-mpc/Push-v0", vision=None, film_size=None)
    scenario = goals_of(task, offset=25, explore=explore, within=partial(Latency, num_steps=2))
    late, _ = scenario.stage(task, Zero(task.spec), seed=1)
    assert isinstance(late, LateTask) and scenario.latency == 2
    assert scenario.note.startswith("actions take effect 2 control steps late") and "25 control steps" in scenario.note
    record = evaluate_episode(task, Zero(task.spec), seed=1, num_steps=scenario.num_steps, scenario=scenario).record
    assert not record.solved_at_start and record.num_steps == scenario.num_steps


@pytest.mark.parametrize("name", ["shove", "altered", "tour", "hidden_sensor"])
def test_any_other_scenario_takes_place_within(explore, name):
    task = make_task(env_id="jepa-mpc/Push-v0", vision=None, film_size=None)
    within = build(OmegaConf.load(files("configs").joinpath("scenario", f"{name}.yaml")))
    scenario = goals_of(task, offset=50, explore=explore, within=within)
    record = evaluate_episode(task, Zero(task.spec), seed=2, num_steps=scenario.num_steps, scenario=scenario).record
    assert record.num_steps == scenario.num_steps


def test_goals_that_exploration_never_comes_to_are_told():
    task = make_task(env_id="jepa-mpc/Push-v0", vision=None, film_size=None)
    with pytest.raises(ScenarioError, match="in 200 episodes the exploration of the run came to none"):
        staged(task, 0, offset=1, explore=Zero)
