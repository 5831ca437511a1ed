"""What every task in configs/env promises, whoever wrote it. One whose packages are missing is skipped, and says so."""

import json
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest

from agent.evaluation.seeds import episode_seeds
from agent.run.config.composing import compose_config, group_names
from agent.run.stages.vision import task_factory
from envs.episodes.exploration import UniformRandom
from envs.episodes.rollout import rollout
from envs.spec import TaskSpec
from envs.types import HasExpert, HasState
from jepa_mpc.errors import UserError

NUM_STEPS = 30


@pytest.fixture(scope="module", params=group_names()["env"])
def make(request):
    """Makes the task of a yaml."""
    factory = task_factory(compose_config([f"env={request.param}"]))
    try:
        factory(vision=None, film_size=None).close()
    except UserError as error:
        warnings.warn(f"env={request.param} is not tested: {error}", stacklevel=1)
        pytest.skip(str(error))
    return lambda: factory(vision=None, film_size=None)


@pytest.fixture(scope="module")
def task(make):
    made = make()
    yield made
    made.close()


class Recorded:
    """Plays recorded actions back."""

    def __init__(self, actions):
        self._actions = actions

    def reset(self, goal, *, seed):
        self._left = iter(self._actions)

    def act(self, observation):
        return next(self._left)


def random_actions(task, num_steps=NUM_STEPS):
    policy = UniformRandom(task.spec)
    policy.reset({}, seed=0)
    return [policy.act({}) for _ in range(num_steps)]


def starts(task):
    return [replace(frame, readings=copied(frame)) for frame in (task.reset(seed) for seed in (3, 4))]


def copied(frame):
    return {name: reading.copy() for name, reading in frame.readings.items()}


def test_its_spec_is_plain_data_that_survives_json(task):
    assert TaskSpec.from_json(json.loads(json.dumps(task.spec.to_json()))) == task.spec


def test_its_maker_can_be_sent_to_another_process(request, make):
    name = request.node.callspec.params["make"]
    factory = pickle.loads(pickle.dumps(task_factory(compose_config([f"env={name}"]))))  # noqa: S301 - our own bytes
    assert factory(vision=None, film_size=None).spec == make().spec


def test_what_it_reads_is_what_its_spec_says(task):
    spec = task.spec
    frames = [task.reset(0), *(task.step(action) for action in random_actions(task, 5))]
    for frame in frames:
        assert list(frame.readings) == list(spec.sensors)
        for name, reading in frame.readings.items():
            assert reading.shape == spec.sensors[name].shape
            assert reading.dtype == (np.uint8 if spec.sensors[name].is_image else np.float32)
            assert np.isfinite(reading).all()
        assert set() < set(frame.goal) <= set(spec.asked) <= set(spec.perceived) <= set(spec.sensors)
        for name, wished in frame.goal.items():
            assert wished.shape == spec.sensors[name].shape
            if name in spec.goal:
                low, high = np.float32(spec.goal[name].low), np.float32(spec.goal[name].high)
                assert (low <= wished).all() and (wished <= high).all()
        assert frame.verdict.distances
        for distance, unit in frame.verdict.distances.values():
            assert distance >= 0 and isinstance(unit, str)


def test_an_episode_is_a_pure_function_of_seed_and_actions(make):
    task, other = make(), make()
    actions = random_actions(task)
    first = rollout(task, Recorded(actions), seed=3, num_steps=NUM_STEPS)
    rollout(task, Recorded(actions[::-1]), seed=4, num_steps=NUM_STEPS)
    for again in (task, other):
        episode = rollout(again, Recorded(actions), seed=3, num_steps=NUM_STEPS)
        assert episode.verdicts == first.verdicts
        for name, readings in first.observations.items():
            assert np.array_equal(episode.observations[name], readings)


def test_seeds_draw_different_episodes_and_actions_matter(task):
    drawn = [{**frame.readings, **{f"goal {name}": it for name, it in frame.goal.items()}} for frame in starts(task)]
    assert any((drawn[0][name] != drawn[1][name]).any() for name in drawn[0])
    actions = random_actions(task, 2 * NUM_STEPS)
    first, changed = (
        rollout(task, Recorded(chosen), seed=3, num_steps=NUM_STEPS)
        for chosen in (actions[:NUM_STEPS], actions[NUM_STEPS:])
    )
    assert any((first.observations[name][1] != changed.observations[name][1]).any() for name in first.observations)


def test_frames_of_the_past_stay_what_they_were(task):
    frames = [task.reset(1)]
    kept = [copied(frames[0])]
    for action in random_actions(task, 5):
        frames.append(task.step(action))
        kept.append(copied(frames[-1]))
    task.reset(2)
    for frame, readings in zip(frames, kept, strict=True):
        for name, reading in readings.items():
            assert np.array_equal(frame.readings[name], reading)


def test_an_action_that_is_none_of_the_tasks_is_refused(task):
    task.reset(0)
    for action in (np.full(task.spec.action_dim, np.nan), np.zeros(task.spec.action_dim + 1)):
        with pytest.raises(ValueError, match="action"):
            task.step(action)


def test_an_idle_action_is_one_of_its_actions(task):
    if (idle := task.spec.actions.idle_action) is not None:
        assert task.spec.actions.contains(idle)
        task.reset(0)
        task.step(idle)


def test_a_restored_state_goes_on_to_the_last_bit(task):
    if not isinstance(task, HasState):
        pytest.skip("it cannot be saved and restored")
    actions = random_actions(task, 40)
    task.reset(5)
    for action in actions[:20]:
        task.step(action)
    state, other = task.save(), task.another()
    expected = [copied(task.step(action)) for action in actions[20:]]
    for again in (task, other):
        again.reset(6)
        again.restore(state)
        for action, readings in zip(actions[20:], expected, strict=True):
            again.advance(action)
            assert all(np.array_equal(again.look()[name], reading) for name, reading in readings.items())


def test_evaluation_starts_are_not_solved_and_the_expert_solves_them(task):
    if not isinstance(task, HasExpert):
        pytest.skip("it has no expert")
    for seed in episode_seeds("validation", 5):
        episode = rollout(task, task.expert(), seed=seed, num_steps=task.spec.num_steps)
        assert not episode.is_success[0]
        assert next(iter(episode.verdicts[0].distances.values()))[0] >= 0.1
        assert episode.is_success[-5:].all()
