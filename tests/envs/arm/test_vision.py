"""Cameras among the sensors: what they show, what they do not, and that nothing else notices them."""

import json
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import envs  # noqa: F401
from agent.evaluation.seeds import episode_seeds
from envs.arm.push import TIP_CLEARANCE
from envs.arm.task import ArmTask, make_task
from envs.episodes.rollout import rollout
from envs.rendering import available_backends
from envs.spec import Sensor, TaskSpec
from envs.vision import Vision

TASKS = (
    "jepa-mpc/Reach-v0",
    "jepa-mpc/Push-v0",
    "jepa-mpc/PushOriented-v0",
    "jepa-mpc/PushSlippery-v0",
    "jepa-mpc/PushTwo-v0",
    "jepa-mpc/ReachGate-v0",
)
BODY = ("tip", "joint_position", "joint_velocity")
BACKENDS = available_backends()


def vision(**changes):
    values = {"cameras": ("fixed",), "image_size": 24, "proprioception": False, "backends": ("raycast",)}
    return Vision(**{**values, **changes})


def arm(env_id, seen=None):
    return make_task(env_id=env_id, vision=seen, film_size=None).env


@pytest.fixture(params=TASKS)
def task(request):
    return request.param


@pytest.fixture
def make(task):
    """Makes the task with cameras, of what a test changes in them."""
    made = []

    def build(**changes):
        made.append(arm(task, vision(**changes)))
        return made[-1]

    yield build
    for env in made:
        env.close()


def random_actions(env, num_steps, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (num_steps, *env.action_space.shape)).astype(np.float32)


class Recorded:
    """Plays recorded actions back."""

    def __init__(self, actions):
        self._actions = iter(actions)

    def reset(self, goal, *, seed):
        self.goal = goal

    def act(self, observation):
        return next(self._actions)


def test_without_cameras_the_agent_sees_all_numbers_and_goals_are_numbers(task):
    spec = arm(task).description
    assert spec.perceived == tuple(name for name in spec.sensors if name != "block_friction_factor")
    assert spec.asked == tuple(spec.goal)
    assert not any(sensor.is_image for sensor in spec.sensors.values())


def test_with_pixels_the_agent_sees_frames_alone_and_goals_are_pictures(task, make):
    spec = make().description
    assert spec.perceived == spec.asked == ("fixed_camera",)
    assert spec.sensors == {
        **arm(task).description.sensors,
        "fixed_camera": Sensor((24, 24, 3), "image", ""),
    }
    assert spec.goal == arm(task).description.goal  # who judges it goes by numbers


def test_with_proprioception_the_agent_feels_its_body_and_no_object(make):
    spec = make(proprioception=True).description
    assert spec.perceived == ("fixed_camera", *BODY)
    assert spec.asked == ("fixed_camera",)


def test_two_cameras_are_two_sensors_and_see_different_things(make):
    env = make(cameras=("fixed", "wrist"))
    readings = env.sensor_readings(env.reset(seed=0)[0])
    assert env.description.perceived == env.description.asked == ("fixed_camera", "wrist_camera")
    assert not np.array_equal(readings["fixed_camera"], readings["wrist_camera"])
    assert set(env.goal_readings(env.reset(seed=0)[0]["desired_goal"])) == {"fixed_camera", "wrist_camera"}


def test_the_description_with_cameras_survives_json(make):
    spec = make(proprioception=True).description
    assert TaskSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize("proprioception", [False, True])
def test_gymnasium_has_nothing_to_complain_about(make, proprioception):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(proprioception=proprioception), skip_render_check=True)


def test_a_frame_is_bytes_of_the_size_that_was_asked_for(make):
    env = make(image_size=40)
    state, _ = env.reset(seed=0)
    for _ in range(3):
        frame = env.sensor_readings(state)["fixed_camera"]
        assert (frame.shape, frame.dtype) == ((40, 40, 3), np.uint8)
        assert np.ptp(frame) > 50
        state = env.step(random_actions(env, 1)[0])[0]


def test_frames_follow_the_arm(make):
    env = make()
    frames = [env.reset(seed=0)[0]["fixed_camera"]]
    frames += [env.step(action)[0]["fixed_camera"] for action in random_actions(env, 5)]
    assert len({frame.tobytes() for frame in frames}) == 6


@pytest.mark.parametrize("backend", BACKENDS)
def test_frames_carry_no_goal_marker(make, backend):
    env = make(backends=(backend,))
    first = env.reset(seed=0)[0]
    state = env.get_state()
    other = env.reset(seed=1, options={"state": state})[0]
    assert not np.array_equal(first["desired_goal"], other["desired_goal"])
    np.testing.assert_array_equal(first["fixed_camera"], other["fixed_camera"])


def test_numbers_are_the_same_with_and_without_cameras(task, make):
    plain, seeing = arm(task), make()
    actions = random_actions(plain, 15)
    told = [rollout(ArmTask(env), Recorded(actions), seed=3, num_steps=15) for env in (plain, seeing)]
    for name, readings in told[0].observations.items():
        np.testing.assert_array_equal(told[1].observations[name], readings)
    assert told[0].verdicts == told[1].verdicts


def test_a_picture_of_the_goal_leaves_the_episode_as_it_was(make):
    env = make()
    actions = random_actions(env, 20)

    def episode(*, look):
        states = [env.reset(seed=4)[0]]
        for step, action in enumerate(actions):
            if look and step in (0, 7, 8):
                before = env.get_state()
                env.goal_readings(states[0]["desired_goal"])
                np.testing.assert_array_equal(env.get_state(), before)
            states.append(env.step(action)[0])
        return states

    for ours, theirs in zip(episode(look=True), episode(look=False), strict=True):
        assert ours.keys() == theirs.keys()
        for name, reading in ours.items():
            np.testing.assert_array_equal(reading, theirs[name])


def test_a_picture_of_the_goal_shows_the_goal_reached(make):
    env = make(image_size=32)
    for seed in range(4):
        start = env.reset(seed=seed)[0]
        goal, state = start["desired_goal"], env.get_state()
        picture = env.goal_readings(goal)
        env.set_state(state)
        env._place_goal(goal)
        env.control.refresh()
        reached = env.reset(options={"goal": goal, "state": env.get_state()})
        assert reached[1]["is_success"]
        assert env.distance_to_goal(reached[0]["achieved_goal"], goal) < 1e-3
        assert max(reached[1]["distances"].values()) < 1e-3
        np.testing.assert_array_equal(picture["fixed_camera"], reached[0]["fixed_camera"])
        assert not np.array_equal(picture["fixed_camera"], start["fixed_camera"])


def test_the_picture_of_a_goal_is_of_what_is_reached_and_needs_no_goal_of_the_episode():
    env = arm("jepa-mpc/Reach-v0", vision(image_size=32))
    tip = np.array([0.45, 0.1, 0.2], np.float32)
    env.reset(seed=0)
    picture = env.goal_readings(tip)["fixed_camera"]
    env.reset(seed=5)
    np.testing.assert_array_equal(env.goal_readings(tip)["fixed_camera"], picture)  # an arm alone: whatever the start


@pytest.mark.parametrize("task", TASKS[1:4])
def test_a_picture_of_a_goal_follows_from_the_goal_alone(task):
    env = arm(task, vision())
    goal = np.float32([0.45, 0.05, 1.0, 0.0][: len(env.reset(seed=0)[0]["desired_goal"])])
    pictures = []
    for seed in (0, 1):
        env.reset(seed=seed)
        if task != "jepa-mpc/PushTwo-v0":  # there the other block stays where it is
            pictures.append(env.goal_readings(goal)["fixed_camera"])
        readings = env.readings_at(goal)
        np.testing.assert_allclose(readings["block_position"][:2], goal[:2], atol=1e-6)
        assert np.linalg.norm(readings["tip"][:2] - goal[:2]) > TIP_CLEARANCE - 2e-3
    for picture in pictures[1:]:
        np.testing.assert_array_equal(picture, pictures[0])


def test_a_picture_of_a_goal_shows_another_pose_of_the_arm_and_another_turn_of_the_block():
    env = arm("jepa-mpc/Push-v0", vision())
    tips, turns = [], []
    for seed in range(40):
        start = env.reset(seed=seed)[0]
        shown = env.readings_at(start["desired_goal"])
        readings = env.sensor_readings(start)
        tips.append(np.linalg.norm(shown["tip"] - readings["tip"]))
        turns.append(shown["block_orientation"][:2] @ readings["block_orientation"][:2])
    assert np.median(tips) > 0.1 and abs(np.mean(turns)) < 0.4 and np.std(turns) > 0.5


def test_an_oriented_goal_is_turned_as_it_asks():
    env = arm("jepa-mpc/PushOriented-v0", vision())
    start = env.reset(seed=2)[0]
    env._place_goal(start["desired_goal"])
    env.control.refresh()
    assert max(list(env._judged(env._observe())["distances"].values())[1:], default=0) < 1e-4


def test_no_goal_on_the_manifest_is_hidden_by_the_arm():
    """As much of the block is seen as if the arm stood elsewhere, to a pixel or two at its edge."""
    env = arm("jepa-mpc/Push-v0", vision(image_size=96))
    for seed in episode_seeds("evaluation", 150):
        goal = env.reset(seed=seed)[0]["desired_goal"]
        shown = block_pixels(env.goal_readings(goal)["fixed_camera"])
        env._place_goal(goal)
        away = [*(np.array([0.32, -0.3]) if goal[1] > 0 else np.array([0.32, 0.3])), 0.03]
        env.control.place(np.array(away))
        alone = block_pixels(env.readings()["fixed_camera"])
        assert alone > 30 and shown >= alone - 2, seed


def block_pixels(picture):
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    yellow = (red > 100) & (green > 70) & (blue < 60)
    return int((yellow | ((blue > 100) & (red < 60))).sum())


def test_backends_take_turns_by_the_seed_of_the_episode(monkeypatch):
    env = arm("jepa-mpc/Reach-v0", vision(backends=("egl", "raycast")))
    drawn = []
    monkeypatch.setattr(env, "_image", lambda camera, backend, *size, **_: drawn.append(backend) or np.zeros(size))
    for seed in (0, 1, 2, 5, 4):
        env.reset(seed=seed)
        env.step(np.zeros(3, np.float32))
        env.goal_readings(np.float32([0.45, 0.1, 0.2]))
    assert drawn == [backend for backend in ("egl", "raycast", "egl", "raycast", "egl") for _ in range(3)]


@pytest.mark.skipif(len(BACKENDS) < 2, reason="only one backend renders here")
def test_each_episode_is_drawn_by_its_own_backend_and_both_show_the_same():
    pair = (BACKENDS[0], "raycast")
    mixed, *alone = (arm("jepa-mpc/Reach-v0", vision(backends=backends)) for backends in (pair, *zip(pair)))
    for seed in (0, 1):
        frames = [env.reset(seed=seed)[0]["fixed_camera"] for env in (mixed, *alone)]
        np.testing.assert_array_equal(frames[0], frames[1 + seed])
        assert 0 < np.abs(frames[1].astype(float) - frames[2]).mean() < 3
    for env in (mixed, *alone):
        env.close()


def test_another_simulation_of_the_same_task_has_the_same_cameras(make):
    env = make(cameras=("wrist",), image_size=20, proprioception=True)
    other = env.another()
    assert other.description == env.description
    np.testing.assert_array_equal(other.reset(seed=1)[0]["wrist_camera"], env.reset(seed=1)[0]["wrist_camera"])


def test_a_camera_that_is_not_there_is_one_sentence():
    with pytest.raises(ValueError, match=r"^cameras must be among \['fixed', 'wrist'\], got 'front'$"):
        arm("jepa-mpc/Reach-v0", vision(cameras=("fixed", "front")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cameras": ()}, r"cameras must be a list of different names, got \(\)"),
        ({"cameras": "fixed"}, "cameras must be a list of different names, got 'fixed'"),
        ({"cameras": ("fixed", "fixed")}, "cameras must be a list of different names"),
        ({"backends": ()}, r"backends must be a list of different names, got \(\)"),
        ({"backends": ("egl", "egl")}, "backends must be a list of different names"),
        ({"image_size": 15}, r"image_size must be in 16\.\.512 pixels, got 15"),
        ({"image_size": 513}, r"image_size must be in 16\.\.512 pixels, got 513"),
        ({"image_size": 64.5}, r"image_size must be in 16\.\.512 pixels, got 64.5"),
        ({"image_size": "64"}, r"image_size must be in 16\.\.512 pixels, got '64'"),
    ],
)
def test_cameras_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        vision(**changes)


def test_cameras_draw_nothing_before_the_first_reset(monkeypatch):
    monkeypatch.setattr("envs.arm.mujoco_env.make_renderer", lambda *_, **__: pytest.fail("a renderer was made"))
    env = gymnasium.make("jepa-mpc/Reach-v0", vision=vision()).unwrapped
    assert env.description.asked == ("fixed_camera",)
