from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import yaml

import configs
from envs.arm.exploration import ContactSeeking, RandomPoints
from envs.arm.task import make_task
from envs.episodes.collection import measures
from envs.episodes.exploration import ColouredNoise, HeldRandom, NearObject, SmoothNoise, UniformRandom, Zero
from envs.episodes.rollout import rollout
from envs.spec import Box, BoxActions, DiscreteActions, Effector, Sensor, TaskSpec

YAMLS = sorted((Path(configs.__file__).parent / "exploration").glob("*.yaml"))
SPEC = TaskSpec(
    task_id="test/Free-v0",
    fingerprint="",
    sensors={"tip": Sensor((3,), "numbers", ""), "block_position": Sensor((3,), "numbers", "")},
    perceived=("tip", "block_position"),
    goal={},
    asked=(),
    actions=BoxActions.unit(3),
    control_dt=0.05,
    num_steps=50,
    effector=Effector(
        sensor="tip", workspace=Box(low=(0.3, -0.25, 0.05), high=(0.6, 0.25, 0.3)), max_displacement=0.03
    ),
)


def read(path):
    values = yaml.safe_load(path.read_text())
    module, name = values.pop("_target_").rsplit(".", 1)
    assert values.pop("_partial_") is True
    return getattr(import_module(module), name), values


def shipped(name):
    return next(read(path) for path in YAMLS if path.stem == name)


def drive(policy, num_steps, *, seed=0, tip=(0.45, 0.0, 0.2), block=(0.45, 0.1, 0.05), goal=None):
    """Lets a policy move a tip that goes exactly where it is sent; returns tips and actions."""
    low, high = np.array(SPEC.effector.workspace.low), np.array(SPEC.effector.workspace.high)
    tip, block = np.array(tip), np.array(block)
    policy.reset(goal or {}, seed=seed)
    tips, actions = [tip], []
    for _ in range(num_steps):
        action = policy.act({"tip": tip, "block_position": block})
        tip = (tip + 0.03 * action / max(1, np.linalg.norm(action))).clip(low, high)
        tips.append(tip)
        actions.append(action)
    return np.array(tips), np.array(actions)


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.stem)
@pytest.mark.parametrize("env_id", ["jepa-mpc/Reach-v0", "jepa-mpc/Push-v0"])
def test_every_yaml_explores_or_says_why_it_cannot(path, env_id):
    env = make_task(env_id=env_id, vision=None, film_size=None)
    policy_class, values = read(path)
    refused = {
        "contact_seeking": "Reach-v0 has none: choose random_points",
        "near_object": "must be a sensor of .*Reach",
    }
    if path.stem in refused and env_id == "jepa-mpc/Reach-v0":
        with pytest.raises(ValueError, match=refused[path.stem]):
            policy_class(env.spec, **values)
        return
    policy = policy_class(env.spec, **values)
    first, again, other = (rollout(env, policy, seed=seed, num_steps=30).actions for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=1).all()
    assert (np.abs(first) <= 1).all()
    assert first.dtype == np.float32


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.stem)
def test_no_explorer_looks_at_the_goal(path):
    policy_class, values = read(path)
    policy = policy_class(SPEC, **values)
    _, actions = drive(policy, 100, goal={"tip": np.array([0.3, 0.0, 0.1])})
    _, others = drive(policy, 100, goal={"tip": np.array([0.6, 0.2, 0.3])})
    np.testing.assert_array_equal(actions, others)


OTHER_VALUES = {
    "near_share": 0.1,
    "lift_share": 0.9,
    "max_lift": 0.4,
    "exponent": 2.0,
    "min_hold": 7,
    "max_hold": 60,
    "max_travel": 40,
    "correlation": 0.2,
    "std": 0.1,
    "margin": 0.01,
    "min_speed": 0.9,
    "max_jitter": 0.01,
    "hold_share": 0.3,
    "block_share": 0.3,
    "block_radius": 0.3,
    "hand": "block_position",
    "thing": "tip",
    "displacement": 0.06,
    "radius": 0.3,
    "area": {"low": [0.4, 0.0, 0.0], "high": [0.5, 0.1, 0.1]},
}


@pytest.mark.parametrize(
    ("path", "key"),
    [(path, key) for path in YAMLS for key in read(path)[1]],
    ids=lambda value: getattr(value, "stem", value),
)
def test_every_value_matters(path, key):
    policy_class, values = read(path)
    values |= {"area": OTHER_VALUES["area"]} if key == "near_share" else {}  # or there is no elsewhere
    changed = {**values, key: OTHER_VALUES[key]}
    assert changed != values
    _, actions = drive(policy_class(SPEC, **values), 60)
    _, others = drive(policy_class(SPEC, **changed), 60)
    assert (actions != others).any()


def test_zero_never_moves():
    _, actions = drive(Zero(SPEC), 10)
    assert (actions == 0).all()


def test_uniform_random_fills_the_cube():
    _, actions = drive(UniformRandom(SPEC), 4000)
    np.testing.assert_allclose(actions.mean(axis=0), 0, atol=0.04)
    np.testing.assert_allclose(actions.std(axis=0), np.sqrt(1 / 3), atol=0.02)
    assert abs(np.corrcoef(actions[:-1, 0], actions[1:, 0])[0, 1]) < 0.05


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.95])
def test_smooth_noise_has_its_std_and_correlation(correlation):
    _, actions = drive(SmoothNoise(SPEC, correlation=correlation, std=0.2), 20_000)
    np.testing.assert_allclose(actions.std(axis=0), 0.2, rtol=0.1)
    measured = [np.corrcoef(actions[:-1, axis], actions[1:, axis])[0, 1] for axis in range(3)]
    np.testing.assert_allclose(measured, correlation, atol=0.03)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_coloured_noise_has_its_std_and_its_power_falls_with_the_frequency(exponent):
    spec = replace(SPEC, num_steps=256)
    policy = ColouredNoise(spec, exponent=exponent, std=0.1)
    values = []
    for seed in range(200):
        policy.reset({}, seed=seed)
        values.append([policy.act({}) for _ in range(256)])
    values = np.array(values, np.float64)
    np.testing.assert_allclose(values.std(axis=(0, 1)), 0.1, rtol=0.06)
    power = (np.abs(np.fft.rfft(values, axis=1)) ** 2).mean(axis=(0, 2))[1:-1]
    slope = np.polyfit(np.log(np.arange(1, 65)), np.log(power[:64]), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.1)


def test_coloured_noise_goes_on_where_an_episode_is_longer():
    policy = ColouredNoise(SPEC, exponent=1.0, std=0.5)
    _, actions = drive(policy, 120)
    assert len(np.unique(actions, axis=0)) == 120


NEWTONS = replace(SPEC, actions=BoxActions(low=(0.0, -1.0), high=(300.0, 3.0), idle=None), effector=None)
BUTTONS = replace(SPEC, actions=DiscreteActions(num_actions=3, idle=None), effector=None)


@pytest.mark.parametrize("spec", [NEWTONS, BUTTONS], ids=["newtons", "buttons"])
@pytest.mark.parametrize("name", ["held_random", "smooth_noise", "coloured_noise", "uniform"])
def test_any_robot_is_explored_in_its_own_actions_all_of_them(spec, name):
    policy_class, values = (UniformRandom, {}) if name == "uniform" else shipped(name)
    policy = policy_class(spec, **values)
    actions = []
    for seed in range(40):
        policy.reset({}, seed=seed)
        actions += [policy.act({}) for _ in range(50)]
    actions = np.array(actions)
    assert actions.dtype == np.float32
    assert spec.actions.contains(actions).all()
    low, high = (0.0, 1.0) if spec is BUTTONS else (np.array([0.0, -1.0]), np.array([300.0, 3.0]))
    reach = (actions.max(axis=0) - actions.min(axis=0)) / (np.array(high) - np.array(low))
    assert reach.min() > 0.8
    np.testing.assert_allclose(
        (actions.mean(axis=0) - low) / (np.array(high) - low), 1 / 3 if spec is BUTTONS else 0.5, atol=0.1
    )


def test_who_goes_to_points_needs_an_effector_that_its_actions_displace():
    policy_class, values = shipped("random_points")
    with pytest.raises(ValueError, match="needs an effector, and test/Free-v0 has none: choose held_random"):
        policy_class(BUTTONS, **values)
    with pytest.raises(ValueError, match="needs actions that displace the effector"):
        policy_class(replace(NEWTONS, effector=SPEC.effector), **values)


def test_where_no_action_does_nothing_nothing_cannot_be_done():
    with pytest.raises(ValueError, match="no action of test/Free-v0 that does nothing"):
        Zero(NEWTONS)
    assert Zero(replace(BUTTONS, actions=DiscreteActions(num_actions=3, idle=1))).act({}).tolist() == [0, 1, 0]


def test_held_actions_last_as_long_as_they_should():
    _, actions = drive(HeldRandom(SPEC, min_hold=3, max_hold=5), 3000)
    changes = np.flatnonzero((np.diff(actions, axis=0) != 0).any(axis=1)) + 1
    assert set(np.diff(changes)) == {3, 4, 5}


def test_random_points_visit_the_whole_workspace_and_its_corners():
    policy_class, values = shipped("random_points")
    policy = policy_class(SPEC, **values)
    low, high = np.array(SPEC.effector.workspace.low), np.array(SPEC.effector.workspace.high)
    visits = np.concatenate(
        [
            drive(policy, 40, seed=seed, tip=low + (high - low) * np.random.default_rng(seed).uniform(size=3))[0]
            for seed in range(300)
        ]
    )
    cells = np.floor((visits - low) / (high - low) * 4).clip(0, 3).astype(int)
    shares = np.bincount(np.ravel_multi_index(cells.T, (4, 4, 4)), minlength=64) / len(visits)
    assert shares.min() > 1 / 64 / 5
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T
    distances = np.linalg.norm(visits[:, None] - corners, axis=2).min(axis=0)
    assert distances.max() < 0.02


def test_random_points_move_at_every_pace_and_hold_still():
    policy_class, values = shipped("random_points")
    tips, _ = drive(policy_class(SPEC, **values), 4000)
    way = np.linalg.norm(np.diff(tips, axis=0), axis=1)
    shares = np.histogram(way, bins=[0, 0.003, 0.01, 0.02, 0.0301])[0] / len(way)
    assert shares.min() > 0.04


def test_a_point_without_noise_is_reached_and_held():
    policy = RandomPoints(SPEC, min_hold=60, max_hold=60, margin=0.0, min_speed=1.0, max_jitter=0.0)
    tips, actions = drive(policy, 60)
    np.testing.assert_allclose(actions[-1], 0, atol=1e-6)
    way = np.linalg.norm(np.diff(tips, axis=0), axis=1)
    assert way[0] == pytest.approx(0.03)


def test_slow_ways_take_small_steps_and_arrive_too():
    policy = RandomPoints(SPEC, min_hold=400, max_hold=400, margin=0.0, min_speed=0.05, max_jitter=0.0)
    longest = []
    for seed in range(20):
        tips, _ = drive(policy, 400, seed=seed)
        way = np.linalg.norm(np.diff(tips, axis=0), axis=1)
        assert way[-1] < 1e-6
        longest.append(way.max())
    assert min(longest) < 0.005
    assert max(longest) == pytest.approx(0.03)


def around_block(seed, block):
    policy = ContactSeeking(
        SPEC,
        min_hold=1,
        max_hold=1,
        hold_share=0.0,
        block_share=1.0,
        block_radius=0.08,
        margin=0.0,
        max_travel=30,
        min_speed=1.0,
        max_jitter=0.0,
    )
    # One step from above the block tells the direction of the point.
    _, actions = drive(policy, 1, seed=seed, tip=block, block=block)
    return actions[0, :2]


def test_the_block_is_approached_from_all_sides_alike():
    directions = np.array([around_block(seed, (0.45, 0.0, 0.2)) for seed in range(2000)])
    angles = np.arctan2(directions[:, 1], directions[:, 0])
    counts = np.histogram(angles, bins=8, range=(-np.pi, np.pi))[0]
    assert ((counts - 250) ** 2 / 250).sum() < 24.3  # chi-squared, 7 degrees of freedom, p = 0.001


def test_where_the_block_is_does_not_change_how_it_is_approached():
    for seed in range(50):
        center = around_block(seed, (0.45, 0.0, 0.2))
        rim = around_block(seed, (0.31, -0.24, 0.2))
        np.testing.assert_allclose(center, rim, atol=1e-6)


def test_contact_seeking_moves_the_block_where_blind_noise_does_not():
    env = make_task(env_id="jepa-mpc/Push-v0", vision=None, film_size=None)
    moving = {}
    for name in ("contact_seeking", "smooth_noise"):
        policy_class, values = shipped(name)
        policy = policy_class(env.spec, **values)
        episodes = [rollout(env, policy, seed=seed, num_steps=60) for seed in range(120)]
        moving[name] = np.mean([measures(episode, env)["block_moving"] for episode in episodes])
    assert moving["contact_seeking"] > 0.2
    assert moving["smooth_noise"] < 0.1


@pytest.mark.parametrize(
    ("policy_class", "changes", "complaint"),
    [
        (HeldRandom, {"min_hold": 0}, "min_hold must be in 1..max_hold=10, got 0"),
        (HeldRandom, {"min_hold": 11}, "min_hold must be in 1..max_hold=10, got 11"),
        (SmoothNoise, {"correlation": 1.0}, "got 1.0 and 0.5"),
        (SmoothNoise, {"std": 0.0}, "got 0.9 and 0.0"),
        (ColouredNoise, {"exponent": -1.0}, "exponent must be at least 0 .*, got -1.0 and 0.5"),
        (ColouredNoise, {"std": 0.0}, "std above 0, got 1.0 and 0.0"),
        (RandomPoints, {"min_speed": 0.0}, "min_speed in"),
        (RandomPoints, {"margin": -0.1}, "margin must be at least 0"),
        (ContactSeeking, {"block_share": 0.95}, "sum to at most 1"),
        (ContactSeeking, {"hold_share": float("nan")}, "sum to at most 1"),
        (ContactSeeking, {"block_radius": 0.0}, "block_radius must be above 0"),
        (ContactSeeking, {"max_travel": 1}, "max_travel must be at least min_hold=2, got 1"),
        (ContactSeeking, {"margin": -0.1}, "margin at least 0"),
    ],
)
def test_values_without_meaning_are_refused(policy_class, changes, complaint):
    values = next(values for shipped_class, values in map(read, YAMLS) if shipped_class is policy_class)
    with pytest.raises(ValueError, match=complaint):
        policy_class(SPEC, **{**values, **changes})


def near(**changes):
    policy_class, values = shipped("near_object")
    assert policy_class is NearObject
    return policy_class(SPEC, **values | changes)


def test_a_hand_is_brought_near_the_object_and_to_its_height():
    block = np.array([0.5, 0.1, 0.08])
    tips, _ = drive(near(hold_share=0.0, max_jitter=0.0, displacement=0.03, lift_share=0.0), 200, block=block)
    assert np.linalg.norm(tips[30:, :2] - block[:2], axis=1).max() < 0.13
    assert np.abs(tips[30:, 2] - block[2]).max() < 1e-3
    assert len(np.unique(tips[30:, :2].round(2), axis=0)) > 20  # all around it


def test_a_share_of_the_ways_lead_anywhere_in_the_area():
    area = {"low": [0.3, -0.1, 0.08], "high": [0.7, 0.3, 0.08]}
    values = {"hold_share": 0.0, "max_jitter": 0.0, "displacement": 0.1, "min_speed": 1.0, "lift_share": 0.0}
    block = np.array([0.35, 0.0, 0.08])
    far = [
        np.linalg.norm(tips[:, :2] - block[:2], axis=1).max() > 0.3
        for near_share in (0.5, 1.0)
        for tips, _ in [drive(near(near_share=near_share, area=area, **values), 500, block=block)]
    ]
    assert far == [True, False]


def test_a_share_of_the_ways_lead_above_the_object_whatever_the_area():
    block, area = np.array([0.5, 0.1, 0.08]), {"low": [0.3, -0.1, 0.08], "high": [0.7, 0.3, 0.08]}
    values = {
        "hold_share": 0.0,
        "max_jitter": 0.0,
        "displacement": 0.1,
        "min_speed": 1.0,
        "near_share": 1.0,
        "area": area,
    }
    tips, _ = drive(near(lift_share=0.5, max_lift=0.2, **values), 2000, block=block)
    lift = tips[30:, 2] - block[2]
    assert lift.min() > -1e-6 and 0.15 < lift.max() < 0.2 + 1e-6
    assert 0.2 < (lift < 0.02).mean() < 0.8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"near_share": -0.1}, "near_share must be at least 0 and at most 1"),
        ({"lift_share": 1.5}, "lift_share must be at least 0 and at most 1"),
        ({"max_lift": -0.1}, "max_lift must be at least 0"),
        ({"thing": "wheel"}, "thing must be a sensor of test/Free-v0, one of block_position, tip, got wheel"),
        ({"displacement": 0}, "displacement must be above 0"),
        ({"area": {"low": [0.0, 0.0]}}, "area must be null or have corners low and high of 3 numbers"),
        ({"area": {"low": [0.0] * 3, "high": [-1.0] * 3}}, "low nowhere above high"),
        ({"min_speed": 0.0}, "min_speed must be above 0"),
        ({"radius": -1.0}, "radius must be above 0"),
        ({"hold_share": 2.0}, "hold_share must be at least 0 and at most 1"),
        ({"min_hold": 9}, "min_hold must be in 1..max_hold=8, got 9"),
    ],
)
def test_what_makes_no_sense_near_an_object_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        near(**changes)


def test_points_near_an_object_lie_in_their_area():
    area = {"low": [0.42, 0.05, 0.06], "high": [0.48, 0.12, 0.06]}
    tips, _ = drive(near(hold_share=0.0, max_jitter=0.0, displacement=0.03, lift_share=0.0, area=area), 200)
    assert (tips[30:] >= np.array(area["low"]) - 1e-6).all()
    assert (tips[30:] <= np.array(area["high"]) + 1e-6).all()
