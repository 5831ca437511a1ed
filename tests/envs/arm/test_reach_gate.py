import gymnasium
import numpy as np
import pytest

from envs.arm.reach_gate import GOAL_AREA, START_AREA, SUCCESS_RADIUS, SWING, TRIGGER_DISTANCE, ReachGateEnv
from envs.arm.task import make_task
from envs.episodes.exploration import Zero
from envs.episodes.rollout import rollout

NEAR_GAP, FAR_GAP = 0.41, 0.51


@pytest.fixture(scope="module")
def task():
    return make_task(env_id="jepa-mpc/ReachGate-v0", vision=None, film_size=None)


class Through:
    """Goes to a point before a gap, through it and on to the goal, at some pace before the wall."""

    def __init__(self, x, *, pace, last=True):
        self._x, self._pace, self._last = x, pace, last

    def reset(self, goal, *, seed):
        self._way = [np.array([self._x, -0.1]), np.array([self._x, 0.1])] + [goal["tip"][:2]] * self._last

    def act(self, observation):
        tip, bar = observation["tip"][:2], observation["bar_angle"][0]
        if len(self._way) > 1 and np.linalg.norm(self._way[0] - tip) < 0.012:
            self._way.pop(0)
        action = (self._way[0] - tip) / 0.03
        pace = self._pace if -0.11 < tip[1] < -0.03 and not bar else 1.0
        return (pace * action / max(1.0, np.linalg.norm(action))).astype(np.float32)


def go(task, seed, policy, num_steps=60):
    episode = rollout(task, policy, seed=seed, num_steps=num_steps)
    return episode, task.measures(episode.observations)


def test_starts_lie_before_the_wall_and_goals_beyond_it(task):
    frames = [task.reset(seed) for seed in range(300)]
    for readings, area in (
        ([frame.readings["tip"] for frame in frames], START_AREA),
        ([frame.goal["tip"] for frame in frames], GOAL_AREA),
    ):
        assert (np.array(area.low) - 5e-4 <= readings).all() and (readings <= np.array(area.high) + 5e-4).all()
        size = np.subtract(area.high, area.low)[:2]
        assert (np.ptp(readings, axis=0)[:2] >= 0.95 * size).all()


def test_which_gap_is_closed_has_even_odds_and_nothing_tells_before(task):
    sides = []
    for seed in range(400):
        task.reset(seed)
        sides.append(task.env.data.userdata[0])
    assert set(sides) == {-1.0, 1.0}
    assert np.mean(np.array(sides) > 0) == pytest.approx(0.5, abs=0.075)  # three standard errors
    for seed in range(3):
        task.reset(seed)
        seen = []
        for side in (-1.0, 1.0):
            task.reset(seed)
            task.env.data.userdata[0] = side
            seen.append(task.look())
        assert all(np.array_equal(seen[0][name], seen[1][name]) for name in seen[0])


def test_the_bar_swings_once_when_the_tip_comes_near_and_stays(task):
    for seed in range(6):
        episode, measures = go(task, seed, Through(FAR_GAP, pace=1.0))
        angle, tip = episode.observations["bar_angle"][:, 0], episode.observations["tip"]
        near = np.linalg.norm(tip[:, :2] - [0.46, 0.0], axis=1) < TRIGGER_DISTANCE
        first = int(near.argmax())
        assert (angle[: first + 1] == 0).all() and angle[first + 1] != 0 and measures["bar_swung"] == 1
        assert (np.sign(angle[first + 1 :]) == task.env.data.userdata[0]).all()
        assert (np.diff(np.abs(angle)) >= 0).all() and np.abs(angle).max() <= SWING + 1e-6


def test_the_bar_swings_to_the_end_when_the_tip_has_left(task):
    task.reset(0)
    task.env.control.place(np.array([0.46, -0.06, 0.05]))
    task.env.control.refresh()
    assert 0 < abs(task.step(np.zeros(2, np.float32)).readings["bar_angle"][0]) < SWING - 0.1
    task.env.control.place(np.array([0.46, -0.2, 0.05]))
    task.env.control.refresh()
    assert abs(task.step(np.zeros(2, np.float32)).readings["bar_angle"][0]) == pytest.approx(SWING)


def test_a_tip_that_stays_away_sees_no_swing(task):
    episode, measures = go(task, 0, Zero(task.spec))
    assert (episode.observations["bar_angle"] == 0).all()
    assert (measures["bar_swung"], measures["collided"], measures["touching_steps"]) == (0, 0, 0)
    assert measures["way"] < 0.01


@pytest.mark.parametrize(("x", "closing"), [(NEAR_GAP, 1.0), (FAR_GAP, -1.0)])
def test_who_hurries_through_a_gap_collides_where_it_closes_and_passes_where_it_does_not(task, x, closing):
    outcomes = set()
    for seed in range(12):
        episode, measures = go(task, seed, Through(x, pace=1.0))
        closes = task.env.data.userdata[0] == closing
        outcomes.add(closes)
        assert measures["collided"] == closes
        assert episode.is_success[-5:].all() == (not closes)
        assert (measures["touching_steps"] > 3) == closes
    assert outcomes == {True, False}


def test_a_slow_tip_sees_the_bar_swing_before_it_is_hit(task):
    for seed in range(6):
        policy = Through(FAR_GAP, pace=0.3)
        frame = task.reset(seed)
        policy.reset(frame.goal, seed=0)
        while frame.readings["bar_angle"][0] == 0:
            frame = task.step(policy.act(frame.readings))
        for _ in range(3):
            frame = task.step(np.zeros(2, np.float32))
            assert frame.readings["touch"][0] == 0
        assert abs(frame.readings["bar_angle"][0]) == pytest.approx(SWING)


def test_the_wall_holds_a_finger_that_presses_on_it(task):
    task.reset(0)
    task.env.control.place(np.array([0.46, -0.05, 0.05]))
    task.env.control.refresh()
    for _ in range(20):
        frame = task.step(np.float32([0, 1]))
    assert frame.readings["touch"][0] == 1
    assert -0.03 < frame.readings["tip"][1] < -0.015


def test_a_finger_in_its_way_slows_the_bar_and_is_pushed_out_of_the_gap(task):
    task.reset(0)
    side = task.env.data.userdata[0]
    task.env.control.place(np.array([0.46 - 0.04 * side, 0.0, 0.05]))
    task.env.control.refresh()
    frames = [task.step(np.zeros(2, np.float32)) for _ in range(10)]
    assert 0.5 < abs(frames[3].readings["bar_angle"][0]) < SWING - 0.2
    assert abs(frames[-1].readings["bar_angle"][0]) == pytest.approx(SWING)
    ways = np.linalg.norm(np.diff([frame.readings["tip"] for frame in frames], axis=0), axis=1)
    assert frames[-1].readings["tip"][1] < -0.012 and ways.max() < 0.01


def test_a_state_in_the_middle_of_the_swing_goes_on_to_the_last_bit(task):
    policy = Through(FAR_GAP, pace=1.0)
    frame = task.reset(2)
    policy.reset(frame.goal, seed=0)
    while abs(frame.readings["bar_angle"][0]) in (0, SWING):
        frame = task.step(policy.act(frame.readings))
    state, other = task.save(), task.another()
    actions = np.random.default_rng(0).uniform(-1, 1, (15, 2)).astype(np.float32)
    expected = [task.step(action).readings for action in actions]
    other.reset(3)
    other.restore(state)
    for action, readings in zip(actions, expected, strict=True):
        other.advance(action)
        assert all(np.array_equal(other.look()[name], reading) for name, reading in readings.items())


def test_the_expert_takes_the_way_on_which_nothing_happens(task):
    for seed in range(40):
        episode, measures = go(task, seed, task.expert())
        assert episode.is_success[-5:].all()
        assert (measures["bar_swung"], measures["collided"]) == (0, 0)


def test_the_way_around_is_longer_than_the_way_through(task):
    around, through = [], []
    for seed in range(20):
        around.append(go(task, seed, task.expert())[1]["way"])
        frame = task.reset(seed)
        through.append(np.linalg.norm(frame.goal["tip"] - frame.readings["tip"]))
    assert 1.1 < np.mean(around) / np.mean(through) < 1.4


def test_the_way_ends_where_the_goal_is_reached(task):
    episode, measures = go(task, 1, task.expert(), num_steps=60)
    shorter, same = go(task, 1, task.expert(), num_steps=30)
    assert shorter.is_success[-5:].all() and same["way"] == measures["way"]
    tip = episode.observations["tip"].astype(float)
    assert np.linalg.norm(np.diff(tip, axis=0), axis=1).sum() > measures["way"] + 0.005
    assert go(task, 1, Through(FAR_GAP, pace=1.0, last=False))[1]["way"] > 0.2  # it never gets there


def test_the_task_has_the_promised_size():
    env = gymnasium.make("envs:jepa-mpc/ReachGate-v0").unwrapped
    assert isinstance(env, ReachGateEnv)
    assert (SUCCESS_RADIUS, env.description.num_steps) == (0.02, 60)
    assert env.description.shapes["bar_angle"] == env.description.shapes["touch"] == (1,)
