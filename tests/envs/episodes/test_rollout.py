import numpy as np
import pytest

from envs.episodes.rollout import policy_seed, rollout
from envs.spec import Box, BoxActions, Effector, Sensor, TaskSpec
from envs.types import Frame, Verdict


class Walker:
    """A point that goes where it is sent: `tip[t + 1] = tip[t] + action[t]`. It ends when its clock strikes `last`."""

    spec = TaskSpec(
        task_id="test/Walker-v0",
        fingerprint="",
        sensors={"tip": Sensor((2,), "numbers", ""), "clock": Sensor((1,), "numbers", "")},
        perceived=("tip", "clock"),
        goal={"tip": Box(low=(-1.0, -1.0), high=(1.0, 1.0))},
        asked=("tip",),
        actions=BoxActions.unit(2),
        control_dt=0.05,
        num_steps=4,
        effector=Effector(sensor="tip", workspace=Box(low=(-1.0, -1.0), high=(1.0, 1.0)), max_displacement=1.0),
    )

    def __init__(self, last=None, *, terminated=True):
        self._last, self._terminated = last, terminated
        self.flat = np.zeros(3, np.float32)
        self.executed = []

    def reset(self, seed):
        rng = np.random.default_rng(seed)
        self.flat[:2] = rng.uniform(-1, 1, 2)
        self.flat[2] = 0
        self.goal = rng.uniform(-1, 1, 2).astype(np.float32)
        return self._frame(num_redrawn=3)

    def step(self, action):
        self.executed.append(action)
        self.flat[:2] += action
        self.flat[2] += 1
        return self._frame()

    def _frame(self, num_redrawn=0):
        time, over = self.flat[2], self.flat[2] == self._last
        return Frame(
            readings={"tip": self.flat[:2], "clock": self.flat[2:]},  # the same buffer every time, as a task may do it
            goal={"tip": self.goal},
            verdict=Verdict(
                success=bool(time == 2),
                distances={"tip": (float(np.linalg.norm(self.flat[:2] - self.goal)), "m")},
                terminated=bool(over and self._terminated),
                truncated=bool(over and not self._terminated),
            ),
            num_redrawn=num_redrawn,
        )


class Witness:
    """Draws its actions, and keeps whatever it was shown."""

    def __init__(self):
        self.seen = []

    def reset(self, goal, *, seed):
        self.goal = goal
        self.seed = seed
        self.rng = np.random.default_rng(seed)

    def act(self, observation):
        self.seen.append({name: reading.copy() for name, reading in observation.items()})
        return self.rng.uniform(-1, 1, 2)


class Constant(Witness):
    def __init__(self, action):
        super().__init__()
        self.action = np.asarray(action)

    def act(self, observation):
        return self.action


def test_an_action_leads_from_its_observation_to_the_next():
    episode = rollout(Walker(), Witness(), seed=5, num_steps=7)
    tip = episode.observations["tip"]
    assert tip.shape == (8, 2)
    np.testing.assert_array_equal(tip[1:], tip[:-1] + episode.actions)
    np.testing.assert_array_equal(episode.observations["clock"][:, 0], np.arange(8))


def test_it_goes_on_for_its_steps_and_keeps_what_was_said_of_each():
    task = Walker()
    episode = rollout(task, Witness(), seed=5, num_steps=7)
    assert len(episode.actions) == 7
    assert episode.is_success.tolist() == [False, False, True, False, False, False, False, False]
    assert (episode.num_redrawn, episode.seed, episode.ending) == (3, 5, "truncated")
    expected = np.linalg.norm(episode.observations["tip"] - task.goal, axis=1)
    distances = [verdict.distances["tip"][0] for verdict in episode.verdicts]
    np.testing.assert_allclose(distances, expected, rtol=1e-6)


@pytest.mark.parametrize(("terminated", "ending"), [(True, "terminated"), (False, "truncated")])
def test_it_ends_where_the_task_ends_it_and_says_how(terminated, ending):
    episode = rollout(Walker(last=3, terminated=terminated), Witness(), seed=5, num_steps=7)
    assert (len(episode.actions), len(episode.verdicts), episode.ending) == (3, 4, ending)
    assert episode.observations["clock"][:, 0].tolist() == [0, 1, 2, 3]
    whole = rollout(Walker(), Witness(), seed=5, num_steps=7)
    np.testing.assert_array_equal(episode.actions, whole.actions[:3])


def test_a_task_that_is_over_at_once_is_one_observation():
    episode = rollout(Walker(last=0), Witness(), seed=5, num_steps=7)
    assert (len(episode.actions), len(episode.observations["tip"])) == (0, 1)


def test_the_policy_sees_the_named_sensors_and_the_goal_and_nothing_else():
    env, policy = Walker(), Witness()
    episode = rollout(env, policy, seed=5, num_steps=7)
    assert all(set(seen) == {"tip", "clock"} for seen in policy.seen)
    assert set(policy.goal) == {"tip"}
    np.testing.assert_array_equal(policy.goal["tip"], env.goal)
    for time, seen in enumerate(policy.seen):
        np.testing.assert_array_equal(seen["tip"], episode.observations["tip"][time])


def test_what_is_recorded_is_what_was_executed_to_the_last_bit():
    env = Walker()
    episode = rollout(env, Witness(), seed=5, num_steps=7)
    assert all(action.dtype == np.float32 for action in env.executed)
    np.testing.assert_array_equal(np.array(env.executed), episode.actions)


def test_an_episode_is_a_function_of_its_seed():
    env, policy = Walker(), Witness()
    first = rollout(env, policy, seed=5, num_steps=7)
    other = rollout(env, policy, seed=6, num_steps=7)
    again = rollout(env, policy, seed=5, num_steps=7)
    np.testing.assert_array_equal(first.actions, again.actions)
    np.testing.assert_array_equal(first.observations["tip"], again.observations["tip"])
    assert (first.actions != other.actions).all()


def test_the_policy_draws_other_numbers_than_the_environment():
    policy = Witness()
    rollout(Walker(), policy, seed=5, num_steps=1)
    assert policy.seed == policy_seed(5)
    assert np.random.default_rng(5).uniform() != np.random.default_rng(policy.seed).uniform()
    assert len({policy_seed(seed) for seed in range(1000)}) == 1000


@pytest.mark.parametrize("action", [[0.0, 1.5], [np.nan, 0.0], [0.0, -np.inf], [0.0], [[0.0, 0.0]]])
def test_an_action_that_is_none_is_refused(action):
    with pytest.raises(ValueError, match=r"2 finite numbers in \[-1, 1\]"):
        rollout(Walker(), Constant(action), seed=0, num_steps=3)
