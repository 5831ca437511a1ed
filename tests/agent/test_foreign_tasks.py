"""Evaluating what can do no more than be reset and stepped: no expert, no metres, no way to save, and early ends."""

from dataclasses import replace

import numpy as np
import pytest

from agent.evaluation.baselines import baselines_of, make_baseline
from agent.evaluation.episodes import evaluate_episode
from agent.evaluation.evaluate import EpisodeTask, evaluate
from agent.evaluation.results import format_results, make_results
from agent.evaluation.scenarios.shove import Shove
from agent.evaluation.scenarios.tour import Tour
from agent.evaluation.scenarios.types import ScenarioError, StagedTask
from agent.evaluation.video import film_episodes
from agent.run.config.composing import ConfigError, compose_config
from agent.run.stages import validation
from agent.run.stages.validation import validate
from agent.run.stages.vision import configured_task
from envs.episodes.exploration import UniformRandom
from envs.rendering import NothingRenders
from envs.spec import BoxActions, DiscreteActions, Sensor, TaskSpec
from envs.types import Frame, Verdict

LIMIT = 1000.0  # N s
DESCRIPTION = {
    "env": "scale",
    "observation": "state",
    "planner": "cem",
    "scenario": "undisturbed",
    "note": None,
    "seed": 0,
    "split": "evaluation",
    "not_reproducible": [],
}


class Scale:
    """Forces up to 300 N add up; the sum shall come near 600 N s, and beyond 1,000 N s the scale breaks.

    Its forces have no rest: the least is 100 N. Episodes end as the goal is reached, and as the scale breaks. It starts
    where the seed says, a hundred N s a seed.
    """

    actions = BoxActions(low=(100.0,), high=(300.0,), idle=None)
    criterion = "sum within 60 N s of its goal"

    def __init__(self, *, vision=None, film_size=None):
        self.spec = TaskSpec(
            task_id="test/Scale-v0",
            fingerprint="0",
            sensors={"sum": Sensor((1,), "numbers", "N s")},
            perceived=("sum",),
            asked=("sum",),
            goal={},
            actions=self.actions,
            control_dt=0.5,
            num_steps=12,
            effector=None,
        )

    def reset(self, seed):
        self._sum = 100.0 * (seed % 10)
        return self._frame()

    def step(self, action):
        self._sum += float(action[0])
        return self._frame()

    def close(self):
        pass

    def _frame(self):
        left = abs(600.0 - self._sum)
        success, broken = left <= 60.0, self._sum > LIMIT
        return Frame(
            readings={"sum": np.float32([self._sum])},
            goal={"sum": np.float32([600.0])},
            verdict=Verdict(success, {"sum": (left, "N s")}, terminated=success or broken, truncated=False),
        )


class Switch(Scale):
    """A choice among forces, the first of which is none."""

    actions = DiscreteActions(num_actions=3, idle=0)

    def step(self, action):
        return super().step(np.float32([100.0 * np.argmax(action)]))


class Pushing:
    """Always pushes with the same force."""

    def __init__(self, force):
        self._force = np.float32([force])

    def reset(self, goal, *, seed):
        pass

    def act(self, observation):
        return self._force


def test_a_task_is_compared_with_the_baselines_that_it_has():
    assert baselines_of(Scale()) == ("random",)
    assert baselines_of(Switch()) == ("random", "zero")
    still = evaluate_episode(Switch(), make_baseline("zero", Switch()), seed=2, num_steps=12)
    assert still.record.final_distances == {"sum": 400.0}


@pytest.mark.parametrize(
    ("force", "seed", "once", "at_end", "num_steps", "left"),
    [
        (100.0, 0, True, True, 6, 0.0),  # ended by success, which lasts
        (300.0, 0, True, True, 2, 0.0),
        (250.0, 0, False, False, 5, 650.0),  # the scale broke
        (100.0, 9, False, False, 2, 500.0),
    ],
)
def test_an_episode_that_ends_early_is_what_it_ended_as(force, seed, once, at_end, num_steps, left):
    episode = evaluate_episode(Scale(), Pushing(force), seed=seed, num_steps=12)
    record = episode.record
    assert (record.success_once, record.success_at_end, record.terminated) == (once, at_end, True)
    assert record.num_steps == len(episode.latencies_ms) == num_steps
    assert record.steps_to_success == (num_steps if once else None)
    assert (record.final_distances, episode.units) == ({"sum": left}, {"sum": "N s"})


def test_a_start_that_is_solved_is_an_episode_of_no_steps_and_counts_in_no_rate():
    solved, unsolved = (evaluate_episode(Scale(), Pushing(100.0), seed=seed, num_steps=12) for seed in (6, 5))
    assert (solved.record.solved_at_start, solved.record.num_steps) == (True, 0)
    assert (solved.record.success_once, solved.record.success_at_end, solved.record.steps_to_success) == (
        False,
        False,
        None,
    )
    assert (unsolved.record.solved_at_start, unsolved.record.success_at_end) == (False, True)


def test_where_all_is_over_as_it_begins_there_is_a_table_all_the_same():
    solved = evaluate_episode(Scale(), Pushing(100.0), seed=6, num_steps=12)
    results = make_results(DESCRIPTION, {"actor": [solved]}, criterion=Scale.criterion, control_dt=0.5, versions={})
    assert results["latency_ms"] is results["planning_latency_ms"] is None
    assert "the actor had nothing to decide: every episode was over as it began" in format_results(results)


def test_many_episodes_have_records_and_a_table_without_metres(tmp_path):
    tasks = [EpisodeTask("random", seed) for seed in range(10)]
    found = evaluate(tasks, make_task=Scale, make_policy=make_baseline, num_workers=1, fingerprint="f", output=tmp_path)
    episodes = [episode for _, episode in found]
    again = evaluate(tasks, make_task=None, make_policy=None, num_workers=1, fingerprint="f", output=tmp_path)
    assert [episode for _, episode in again] == episodes  # read, not run
    deciding = [replace(it, modes=("planning",) * len(it.modes)) for it in episodes]
    results = make_results(DESCRIPTION, {"actor": deciding}, criterion=Scale.criterion, control_dt=0.5, versions={})
    actor = results["agents"]["actor"]
    assert results["units"] == {"sum": "N s"}
    assert (actor["solved_at_start"], actor["success_at_end"]["n"]) == (1, 9)
    assert not any("final_distance_m" in record for record in actor["episodes"])
    table = format_results(results)
    assert "sum within 60 N s of its goal; at the end: in each of the last 5 control steps (2.5 s)" in table
    assert " N s" in table.splitlines()[2]


def test_what_a_task_cannot_do_is_one_sentence(tmp_path):
    task = Scale()
    shove = Shove(task.spec, start=1.0, distance=0.05)
    with pytest.raises(ScenarioError, match="something that can be displaced, and test/Scale-v0 has nothing: choose"):
        shove.stage(task, UniformRandom(task.spec), seed=0)
    tour = {"num_targets": 3, "touch_radius": 0.02, "min_spacing": 0.1, "block_clearance": 0.09, "steps_per_target": 20}
    with pytest.raises(ValueError, match="a tour asks for places of an effector, and test/Scale-v0 has none"):
        Tour(task.spec, **tour)
    with pytest.raises(NothingRenders, match="test/Scale-v0 cannot be drawn for people"):
        film_episodes(
            [0], agent="random", make_task=Scale, make_policy=make_baseline, folder=tmp_path, video_format="gif"
        )


def test_an_oracle_is_refused_where_nothing_can_be_restored_before_anything_long_begins(monkeypatch):
    config = compose_config(["env=reach", "evaluate.oracle=2"])
    task = configured_task(config)
    validate(config, task.spec)
    monkeypatch.setattr(validation, "configured_task", lambda _: StagedTask(task))  # which can be stepped and no more
    with pytest.raises(
        ConfigError, match=r"oracle must be 0 here, got 2: .* saved and restored, and jepa-mpc/Reach-v0"
    ):
        validate(config, task.spec)
