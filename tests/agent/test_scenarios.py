from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from agent.actor import Actor
from agent.evaluation.episodes import evaluate_episode
from agent.evaluation.scenarios.hidden_sensors import HiddenSensors
from agent.evaluation.scenarios.shove import Shove
from agent.evaluation.scenarios.tour import Tour
from agent.evaluation.scenarios.types import ScenarioError
from agent.evaluation.scenarios.undisturbed import Undisturbed
from envs.arm.push import BLOCK_AREA
from envs.arm.task import make_task
from envs.episodes.exploration import UniformRandom, Zero
from envs.episodes.rollout import policy_seed, rollout
from envs.spec import Box, Sensor
from envs.types import Frame, Verdict
from envs.vision import Vision

BLOCK_SENSORS = ["block_position", "block_orientation", "block_velocity"]
TOUR = {"num_targets": 3, "touch_radius": 0.02, "min_spacing": 0.1, "block_clearance": 0.09, "steps_per_target": 20}

ANY_TIME = {"near": None, "near_distance": 0.07}

PIXELS = Vision(cameras=("fixed",), image_size=16, proprioception=False, backends=("raycast",))


@pytest.fixture(scope="module")
def push():
    return make_task(env_id="jepa-mpc/Push-v0", vision=None, film_size=None)


@pytest.fixture(scope="module")
def reach():
    return make_task(env_id="jepa-mpc/Reach-v0", vision=None, film_size=None)


class Witness(Actor):
    """An actor that acts as another policy does, and keeps what it was told and shown."""

    def __init__(self, policy):
        self._policy = policy

    def reset(self, goal, *, seed):
        self.goal, self.seed, self.seen = goal, seed, []
        self._policy.reset(goal, seed=seed)

    def act(self, observation):
        self.seen.append(dict(observation))
        return self._policy.act(observation)


class Watched:
    """Notes where the block is before and after each step's preparations, in the simulator's own numbers."""

    def __init__(self, monkeypatch, task):
        env = task.env
        self.before, self.after, self.clearances = [], [], []
        step = env.step

        def watched_step(action):
            self.after.append(env.block_position())
            self.clearances.append(env.clearance())
            result = step(action)
            self.before.append(env.block_position())
            return result

        monkeypatch.setattr(env, "step", watched_step)

    def jumps(self):
        """Returns control step to how the block was displaced before it."""
        moves = np.subtract(self.after[1:], self.before[:-1])
        return {int(step) + 1: moves[step] for step in np.flatnonzero(moves.any(axis=1))}


def run(scenario, env, policy, seed):
    staged_task, staged_policy = scenario.stage(env, policy, seed=seed)
    return rollout(staged_task, staged_policy, seed=seed, num_steps=scenario.num_steps)


def assert_same(first, second):
    np.testing.assert_array_equal(first.actions, second.actions)
    for name, readings in first.observations.items():
        np.testing.assert_array_equal(readings, second.observations[name])


def test_an_undisturbed_episode_is_the_episode_as_it_is(push):
    scenario = Undisturbed(push.spec)
    plain = rollout(push, push.expert(), seed=3, num_steps=100)
    assert_same(run(scenario, push, push.expert(), 3), plain)
    arguments = {"seed": 3, "num_steps": scenario.num_steps}
    staged = evaluate_episode(push, push.expert(), **arguments, scenario=scenario)
    assert staged.record == evaluate_episode(push, push.expert(), **arguments).record


def test_sensors_are_hidden_for_exactly_so_long_and_nothing_else_changes(push):
    scenario = HiddenSensors(push.spec, sensors=BLOCK_SENSORS, start=1.0, duration=0.5, **ANY_TIME)
    witness, whole = Witness(UniformRandom(push.spec)), Witness(UniformRandom(push.spec))
    disturbed = run(scenario, push, witness, 4)
    assert_same(disturbed, run(Undisturbed(push.spec), push, whole, 4))
    assert witness.seed == whole.seed
    for step, (seen, full) in enumerate(zip(witness.seen, whole.seen, strict=True)):
        hidden = BLOCK_SENSORS if 20 <= step < 30 else []
        assert set(full) - set(seen) == set(hidden)
        for name, reading in seen.items():
            np.testing.assert_array_equal(reading, full[name])


def test_the_second_episode_is_hidden_as_the_first_was(push):
    scenario = HiddenSensors(push.spec, sensors=["tip"], start=0.1, duration=0.1, **ANY_TIME)
    witness = Witness(Zero(push.spec))
    env, policy = scenario.stage(push, witness, seed=0)
    for seed in range(2):
        rollout(env, policy, seed=seed, num_steps=5)
        assert ["tip" in seen for seen in witness.seen] == [True, True, False, False, True]


@pytest.mark.parametrize("near", ["block_position", "second_block_position"])
def test_a_block_is_hidden_from_when_the_tip_comes_to_it_or_to_the_other(near):
    task = make_task(env_id="jepa-mpc/PushTwo-v0", vision=None, film_size=None)
    scenario = HiddenSensors(task.spec, sensors=BLOCK_SENSORS, start=0.5, duration=0.5, near=near, near_distance=0.07)
    num_hidden = 0
    for seed in range(6):
        witness = Witness(Seeing(task))
        episode = run(scenario, task, witness, seed)
        tip, block = (episode.observations[name][:-1] for name in ("tip", near))
        is_near = np.linalg.norm(tip - block, axis=1) <= 0.07
        is_near[:10] = False  # before the start
        begin = int(is_near.argmax()) if is_near.any() else len(is_near)
        hidden = [step for step, seen in enumerate(witness.seen) if "block_position" not in seen]
        assert hidden == list(range(begin, min(begin + 10, len(is_near))))
        num_hidden += bool(hidden)
        assert all("second_block_position" in seen for seen in witness.seen)
    assert num_hidden >= 2


class Seeing:
    """An expert that sees everything, whatever is hidden from others."""

    def __init__(self, task):
        self._task, self._expert = task, task.expert()

    def reset(self, goal, *, seed):
        self._expert.reset(goal, seed=seed)

    def act(self, observation):
        return self._expert.act(self._task.look())


def test_the_block_is_displaced_once_by_exactly_five_centimetres(push, monkeypatch):
    scenario = Shove(push.spec, start=2.5, distance=0.05)
    for seed in range(20):
        with monkeypatch.context() as patch:
            watched = Watched(patch, push)
            episode = run(scenario, push, push.expert(), seed)
        ((step, displacement),) = watched.jumps().items()
        assert step == 50
        assert np.hypot(*displacement[:2]) == pytest.approx(0.05, abs=1e-12)
        assert displacement[2] == 0
        assert watched.clearances[step] > 0
        block = watched.after[step]
        assert (np.array(BLOCK_AREA.low)[:2] <= block[:2]).all() and (block[:2] <= np.array(BLOCK_AREA.high)[:2]).all()
        plain = rollout(push, push.expert(), seed=seed, num_steps=100)
        for name, readings in plain.observations.items():  # up to the shove, nothing is different
            np.testing.assert_array_equal(episode.observations[name][:51], readings[:51])


def test_the_direction_is_the_seeds_and_uniform_where_there_is_room(push, monkeypatch):
    scenario = Shove(push.spec, start=0.0, distance=0.05)
    push.reset(0)
    push.env.displace_block(np.array([0.525, 0.0]) - push.env.block_position()[:2])
    push.env.control.place(np.array([0.32, 0.3, 0.03]))
    middle = push.env.get_state()

    def direction(seed):
        push.env.set_state(middle)
        env, _ = scenario.stage(push, Zero(push.spec), seed=seed)
        env.step(np.zeros(2, np.float32))
        return push.env.block_position()[:2] - np.array([0.525, 0.0])

    directions = np.array([direction(seed) for seed in range(400)]) / 0.05
    np.testing.assert_array_equal(direction(7), direction(7))
    np.testing.assert_allclose(directions.mean(axis=0), 0, atol=0.11)  # three standard errors
    angles = np.arctan2(directions[:, 1], directions[:, 0])
    counts = np.histogram(angles, bins=8, range=(-np.pi, np.pi))[0]
    assert ((counts - 50) ** 2 / 50).sum() < 24.3  # chi-square with 7 degrees of freedom, p = 0.001


def test_a_shove_waits_until_there_is_room(push):
    """The finger holds the block in a corner of its area: inwards is the finger, elsewhere is outside."""
    scenario = Shove(push.spec, start=0.0, distance=0.05)
    push.reset(0)
    corner = np.array(BLOCK_AREA.high)
    push.env.data.qvel[:] = 0
    push.env.data.joint("block").qpos[:] = [*corner, np.cos(np.pi / 8), 0, 0, np.sin(np.pi / 8)]
    push.env.control.place(np.array([*(corner[:2] - 0.055 * np.sqrt(0.5)), 0.03]))
    push.env.control.refresh()
    env, _ = scenario.stage(push, Zero(push.spec), seed=0)
    env.step(np.zeros(2, np.float32))
    assert np.linalg.norm(push.env.block_position() - corner) < 1e-3
    for _ in range(6):
        env.step(np.float32([-1, 0]))
    assert np.linalg.norm(push.env.block_position() - corner) == pytest.approx(0.05, abs=1e-3)


def test_targets_lie_in_the_workspace_apart_and_clear_of_the_block(push, reach):
    for env in (push, reach):
        scenario = Tour(env.spec, **TOUR)
        tours = []
        for seed in range(200):
            tour, _ = scenario.stage(env, Zero(env.spec), seed=seed)
            start = tour.reset(seed).readings
            points = np.vstack([start["tip"], tour.targets])
            spacing = np.linalg.norm(points[:, None] - points, axis=2)
            assert tour.targets.shape == (3, 3)
            assert spacing[~np.eye(4, dtype=bool)].min() >= 0.1
            assert all(np.float32(env.spec.effector.workspace.low) <= np.min(tour.targets, axis=0))
            assert all(np.float32(env.spec.effector.workspace.high) >= np.max(tour.targets, axis=0))
            if "block_position" in start:
                assert np.linalg.norm(tour.targets - start["block_position"], axis=1).min() >= 0.09
            tours.append(tour.targets)
        size = np.subtract(env.spec.effector.workspace.high, env.spec.effector.workspace.low)
        assert (np.ptp(np.concatenate(tours), axis=0) >= 0.95 * size - 1e-6).all()


class Touring:
    """Walks straight to the given points, one after the other, and then lets another policy act."""

    def __init__(self, env, policy, points):
        self._env, self._policy, self._points = env, policy, points

    def reset(self, goal, *, seed):
        self._left = list(self._points())
        self._policy.reset(goal, seed=seed)

    def act(self, observation):
        while self._left and np.linalg.norm(self._left[0] - observation["tip"]) < 0.015:
            self._left.pop(0)
        if not self._left:
            return self._policy.act(observation)
        way = (self._left[0] - observation["tip"])[: self._env.spec.action_dim] / 0.03
        return (way / max(1.0, np.linalg.norm(way))).astype(np.float32)


@pytest.mark.parametrize(
    ("order", "solved"), [([0, 1, 2], True), ([0, 1], False), ([1, 0, 2], False), ([1, 0, 1, 2], True), ([], False)]
)
def test_success_needs_every_touch_in_order(reach, order, solved):
    scenario = Tour(reach.spec, **TOUR)
    for seed in range(5):
        tour, _ = scenario.stage(reach, Zero(reach.spec), seed=seed)
        touring = Touring(reach, reach.expert(), lambda tour=tour: tour.targets[order])
        episode = rollout(tour, touring, seed=seed, num_steps=scenario.num_steps)
        assert episode.is_success[-5:].all() == solved
        assert episode.verdicts[-1].distances["tip"][0] < 0.02


def test_a_tour_leaves_time_to_push_the_block(push):
    scenario = Tour(push.spec, **TOUR)
    assert scenario.num_steps == 160
    solved = []
    for seed in range(20):
        tour, _ = scenario.stage(push, Zero(push.spec), seed=seed)
        touring = Touring(push, push.expert(), lambda tour=tour: tour.targets)
        episode = rollout(tour, touring, seed=seed, num_steps=scenario.num_steps)
        solved.append(episode.is_success[-5:].all())
    assert sum(solved) >= 18  # the straight ways push the block about


def test_who_knows_but_one_goal_gets_the_tasks_own(push):
    told = []

    class Baseline(Zero):
        def reset(self, goal, *, seed):
            told.append((goal, seed))

    run(Tour(push.spec, **TOUR), push, Baseline(push.spec), 5)
    goal = push.reset(5).goal
    assert told[0][1] == policy_seed(5)
    np.testing.assert_equal(told[0][0], goal)


def test_a_baseline_sees_what_is_hidden_from_an_actor(push):
    scenario = HiddenSensors(push.spec, sensors=BLOCK_SENSORS, start=1.0, duration=0.5, **ANY_TIME)
    plain = rollout(push, push.expert(), seed=3, num_steps=100)
    assert_same(run(scenario, push, push.expert(), 3), plain)


def test_an_actor_gets_the_targets_in_order_and_the_goal_last(push):
    witness = Witness(Zero(push.spec))
    tour, guided = Tour(push.spec, **TOUR).stage(push, witness, seed=5)
    rollout(tour, guided, seed=5, num_steps=1)
    assert [list(goal) for goal in witness.goal] == [["tip"]] * 3 + [["block_position"]]
    np.testing.assert_array_equal([goal["tip"] for goal in witness.goal[:3]], tour.targets)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda spec: HiddenSensors(spec, sensors=["camera"], start=1.0, duration=0.5, **ANY_TIME),
            r"the agent sees .*'tip'\] of jepa-mpc/Reach-v0, so \['camera'\] cannot be hidden",
        ),
        (
            lambda spec: HiddenSensors(spec, sensors=["tip"], start=2.5, duration=0.5, **ANY_TIME),
            "before the end .* at 2.5 s",
        ),
        (
            lambda spec: HiddenSensors(spec, sensors=["tip"], start=-1.0, duration=0.5, **ANY_TIME),
            "at least 0 .*, got -1.0 s",
        ),
        (
            lambda spec: HiddenSensors(spec, sensors=["tip"], start=1.0, duration=0.02, **ANY_TIME),
            "one control step of 0.05 s",
        ),
        (
            lambda spec: HiddenSensors(
                spec, sensors=["tip"], start=1.0, duration=1.0, near="joint_position", near_distance=0.1
            ),
            r"near must be null, or name a place of jepa-mpc/Reach-v0 .*, one of \['tip'\], got 'joint_position'",
        ),
        (
            lambda spec: HiddenSensors(spec, sensors=["tip"], start=1.0, duration=1.0, near="tip", near_distance=0.0),
            "near_distance must be above 0 and finite, got 0.0",
        ),
        (lambda spec: Shove(spec, start=1.0, distance=0.0), "distance must be above 0 and finite, got 0.0"),
        (lambda spec: Tour(spec, **{**TOUR, "num_targets": 0}), "num_targets must be at least 1"),
        (lambda spec: Tour(spec, **{**TOUR, "touch_radius": 0.05}), "min_spacing must be above"),
    ],
)
def test_a_mistake_gives_one_clear_sentence(reach, make, message):
    with pytest.raises(ValueError, match=message):
        make(reach.spec)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda spec: HiddenSensors(spec, sensors=["block_position"], start=1.0, duration=0.5, **ANY_TIME),
            r"the agent sees \['fixed_camera'\] of jepa-mpc/Push-v0, so \['block_position'\] cannot be hidden",
        ),
        (lambda spec: Tour(spec, **TOUR), r"the agent must feel where it is, .* and it sees \['fixed_camera'\]"),
    ],
)
def test_what_an_agent_does_not_see_is_neither_hidden_from_it_nor_its_goal(make, message):
    with pytest.raises(ValueError, match=message):
        make(make_task(env_id="jepa-mpc/Push-v0", vision=PIXELS, film_size=None).spec)
    felt = make_task(env_id="jepa-mpc/Push-v0", vision=replace(PIXELS, proprioception=True), film_size=None).spec
    Tour(felt, **TOUR)
    HiddenSensors(felt, sensors=["fixed_camera", "tip"], start=1.0, duration=0.5, **ANY_TIME)


def test_scenarios_show_camera_frames_and_goals_that_are_pictures():
    env = make_task(env_id="jepa-mpc/Push-v0", vision=PIXELS, film_size=None)
    spec, actor = env.spec, Witness(UniformRandom(env.spec))
    plain = run(Undisturbed(spec), env, UniformRandom(spec), seed=3)
    hidden = run(HiddenSensors(spec, sensors=["fixed_camera"], start=1.0, duration=0.5, **ANY_TIME), env, actor, seed=3)
    assert_same(hidden, plain)
    assert actor.goal.keys() == {"fixed_camera"} and actor.goal["fixed_camera"].shape == (16, 16, 3)
    lacking = [step for step, seen in enumerate(actor.seen) if "fixed_camera" not in seen]
    assert lacking == list(range(20, 30))
    shoved = run(Shove(spec, start=1.0, distance=0.05), env, UniformRandom(spec), seed=3)
    frames = [episode.observations["fixed_camera"] for episode in (plain, shoved)]
    assert np.array_equal(*(it[:20] for it in frames)) and not np.array_equal(frames[0][21], frames[1][21])


def test_a_shove_in_another_environment_is_one_sentence(push, reach):
    shove = Shove(push.spec, start=1.0, distance=0.05)
    with pytest.raises(ScenarioError, match="needs something that can be displaced, and jepa-mpc/Reach-v0 has nothing"):
        shove.stage(reach, Zero(reach.spec), seed=0)


def test_what_begins_just_before_the_end_begins_and_what_is_shorter_than_a_step_is_refused(push):
    scenario = HiddenSensors(push.spec, sensors=["tip"], start=4.99, duration=0.05, **ANY_TIME)
    witness = Witness(Zero(push.spec))
    run(scenario, push, witness, 0)
    assert ["tip" in seen for seen in witness.seen] == [True] * 99 + [False]
    with pytest.raises(ValueError, match=r"duration must be at least one control step of 0.05 s, got 0.049 s"):
        HiddenSensors(push.spec, sensors=["tip"], start=1.0, duration=0.049, **ANY_TIME)


@pytest.mark.parametrize("start", [0.0, 0.02, 0.049])
def test_sensors_cannot_be_hidden_before_they_were_seen_once(push, start):
    with pytest.raises(ValueError, match=r"start must be at least one control step of 0.05 s, .*, got 0.0"):
        HiddenSensors(push.spec, sensors=BLOCK_SENSORS, start=start, duration=0.5, **ANY_TIME)


def test_a_shove_needs_a_distance(push):
    with pytest.raises(ValueError, match=r"distance must be above 0 and finite, got 0.0"):
        Shove(push.spec, start=1.0, distance=0.0)


def test_a_tour_goes_through_a_plane_where_the_effector_has_two_coordinates(spec):
    plane = Box(low=(-1.0, -1.0), high=(1.0, 1.0))
    flat = replace(
        spec,
        sensors={"position": Sensor((2,), "numbers", "m")},
        perceived=("position",),
        goal={},
        effector=replace(spec.effector, workspace=plane),
    )
    start = Frame({"position": np.zeros(2, np.float32)}, {}, Verdict(False, {}, False, False))
    task = SimpleNamespace(spec=flat, reset=lambda seed: start)
    tour, _ = Tour(flat, **TOUR).stage(task, None, seed=0)
    tour.reset(0)
    assert tour.targets.shape == (3, 2)
    assert np.linalg.norm(np.diff([[0.0, 0.0], *tour.targets], axis=0), axis=1).min() >= 0.1


def test_targets_that_do_not_fit_are_refused(push):
    tour, _ = Tour(push.spec, **{**TOUR, "min_spacing": 0.6}).stage(push, Zero(push.spec), seed=0)
    with pytest.raises(ScenarioError, match=r"num_targets=3 do not fit into the workspace with min_spacing=0.6"):
        tour.reset(0)
