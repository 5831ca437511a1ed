import os
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

import envs  # noqa: F401
from envs.rendering import BACKENDS, Marker, available_backends, make_renderer

GOAL = np.array([0.5, 0.1], np.float32)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each of those that render on this machine."""
    if request.param not in available_backends():
        pytest.skip(f"{request.param} does not render on this machine")
    return request.param


def count(image: NDArray[np.uint8], *, red: tuple[int, int], green: tuple[int, int], blue: tuple[int, int]) -> int:
    """How many pixels lie between the bounds of all three colours."""
    inside = [(image[..., i] >= low) & (image[..., i] <= high) for i, (low, high) in enumerate((red, green, blue))]
    return int(np.logical_and.reduce(inside).sum())


def counts(image: NDArray[np.uint8]) -> dict[str, int]:
    return {
        "finger": count(image, red=(110, 255), green=(0, 60), blue=(50, 160)),
        "blue half": count(image, red=(0, 60), green=(30, 120), blue=(120, 255)),
        "yellow half": count(image, red=(140, 255), green=(110, 230), blue=(0, 60)),
        "goal": count(image, red=(0, 130), green=(140, 255), blue=(0, 140)),
    }


def project(model, data, camera: str, points: NDArray[np.float64], *, size: int) -> NDArray[np.float64]:
    """Returns where a camera shows points: rows and columns `[num_points, 2]`, pixels from the upper left corner."""
    index = model.camera(camera).id
    right, up, back = data.cam_xmat[index].reshape(3, 3).T
    seen = np.atleast_2d(points) - data.cam_xpos[index]
    assert (seen @ back < 0).all()
    focal = size / 2 / np.tan(np.radians(model.cam_fovy[index] / 2))
    return size / 2 + focal * np.stack([-(seen @ up), seen @ right], axis=1) / -(seen @ back)[:, None]


def corners(low, high) -> NDArray[np.float64]:
    return np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])


def test_a_frame_shows_finger_block_and_goal() -> None:
    env = gymnasium.make("jepa-mpc/Push-v0", render_mode="rgb_array", width=160, height=120)
    for seed in range(5):
        env.reset(seed=seed)
        frame = env.render()
        assert frame.shape == (120, 160, 3)
        assert frame.dtype == np.uint8
        assert all(pixels > 15 for pixels in counts(frame).values()), counts(frame)
    env.close()


def test_the_marker_is_drawn_only_on_request(backend: str) -> None:
    env = gymnasium.make("jepa-mpc/Push-v0").unwrapped
    env.reset(seed=0, options={"goal": GOAL})
    renderer = make_renderer(env.model, camera="fixed", width=64, height=64, backend=backend)
    plain = renderer.image(env.data)
    marked = renderer.image(env.data, markers=[Marker(np.array([*GOAL, 0.035], np.float32), 0.05)])
    again = renderer.image(env.data)
    renderer.close()
    assert counts(marked)["goal"] > 20
    assert counts(plain)["goal"] == 0
    np.testing.assert_array_equal(plain, again)


def test_the_marker_is_where_the_goal_is(backend: str) -> None:
    env = gymnasium.make("jepa-mpc/Reach-v0").unwrapped
    env.reset(seed=0)
    env.control.place(np.array([0.35, 0.25, 0.3]))
    env.control.refresh()
    renderer = make_renderer(env.model, camera="fixed", width=96, height=96, backend=backend)
    center = np.array([0.5, 0.0, 0.1])
    image = renderer.image(env.data, markers=[Marker(center.astype(np.float32), 0.03)])
    renderer.close()
    green = image[..., 1].astype(int) - image[..., 0] > 60
    expected = project(env.model, env.data, "fixed", center, size=96)[0]
    np.testing.assert_allclose(np.argwhere(green).mean(axis=0) + 0.5, expected, atol=0.5)


@pytest.mark.parametrize("camera", ["fixed", "wrist"])
def test_the_finger_is_drawn_where_projection_says(backend: str, camera: str) -> None:
    env = gymnasium.make("jepa-mpc/Reach-v0").unwrapped
    env.reset(seed=0)
    size, generator = 128, np.random.default_rng(0)
    renderer = make_renderer(env.model, camera=camera, width=size, height=size, backend=backend)
    for _ in range(5):
        env.control.place(generator.uniform(env.workspace.low, env.workspace.high))
        env.control.refresh()
        image = renderer.image(env.data).astype(int)
        finger = (image[..., 0] > 90) & (image[..., 1] < 60)
        tip = env.data.site("tip").xpos
        aside = 0.03 * env.data.cam_xmat[env.model.camera(camera).id].reshape(3, 3)[:, 0]
        points = np.stack([tip, tip + aside, tip - aside])
        seen = [
            finger[int(row), int(column)] for row, column in project(env.model, env.data, camera, points, size=size)
        ]
        assert seen == [True, False, False]
    renderer.close()


@pytest.mark.parametrize("task", ["Reach", "Push"])
def test_the_fixed_camera_sees_tip_and_block_wherever_they_may_be(task: str) -> None:
    env = gymnasium.make(f"jepa-mpc/{task}-v0").unwrapped
    env.reset(seed=0)
    make_renderer(env.model, camera="fixed", width=8, height=8, backend="raycast").image(env.data)
    places = [env.workspace, *([env.goal_parts["block_position"].box] if task == "Push" else [])]
    for place in places:
        seen = project(env.model, env.data, "fixed", corners(place.low, place.high), size=64)
        assert seen.min() > 1
        assert seen.max() < 63


def test_the_wrist_camera_sees_the_tip_in_the_middle_and_a_block_beside_it(backend: str) -> None:
    env = gymnasium.make("jepa-mpc/Push-v0").unwrapped
    env.reset(seed=0)
    renderer = make_renderer(env.model, camera="wrist", width=64, height=64, backend=backend)
    block = np.array([0.5, 0.0, 0.035])
    for angle in np.linspace(0, 2 * np.pi, 8, endpoint=False):
        env.control.place(block + 0.08 * np.array([np.cos(angle), np.sin(angle), 0]))
        env.data.joint("block").qpos[:] = [*block, 1, 0, 0, 0]
        env.control.refresh()
        image = renderer.image(env.data)
        tip = project(env.model, env.data, "wrist", env.data.site("tip").xpos, size=64)[0]
        np.testing.assert_allclose(tip, 32, atol=4)
        assert counts(image)["finger"] > 50
        assert count(image, red=(0, 60), green=(60, 120), blue=(120, 255)) + counts(image)["yellow half"] > 60
    renderer.close()


def test_drawing_changes_no_bit_of_the_physics(backend: str) -> None:
    def play(draws: bool) -> NDArray[np.float64]:
        env = gymnasium.make("jepa-mpc/Push-v0").unwrapped
        observation, _ = env.reset(seed=3)
        expert = env.expert()
        expert.reset(env.goal_observation(observation["desired_goal"]), seed=3)
        renderers = [
            make_renderer(env.model, camera=camera, width=16, height=16, backend=backend)
            for camera in ("fixed", "wrist")
            if draws
        ]
        states = []
        for _ in range(40):
            for renderer in renderers:
                renderer.image(env.data)
            action = expert.act(env.split_observation(observation["observation"]))
            observation = env.step(action)[0]
            states.append(env.get_state())
        for renderer in renderers:
            renderer.close()
        return np.array(states)

    np.testing.assert_array_equal(play(draws=True), play(draws=False))


def test_a_picture_depends_on_nothing_that_was_drawn_before(backend: str) -> None:
    env = gymnasium.make("jepa-mpc/Push-v0").unwrapped
    for camera in ("fixed", "wrist"):
        worn = make_renderer(env.model, camera=camera, width=32, height=32, backend=backend)
        for seed in range(3):
            env.reset(seed=seed)
            image = worn.image(env.data)
        fresh = make_renderer(env.model, camera=camera, width=32, height=32, backend=backend)
        np.testing.assert_array_equal(fresh.image(env.data), image)
        fresh.close()
        np.testing.assert_array_equal(worn.image(env.data), image)
        worn.close()


def test_a_closed_environment_can_be_closed_again_and_draws_again() -> None:
    env = gymnasium.make("jepa-mpc/Reach-v0", render_mode="rgb_array", width=32, height=32).unwrapped
    env.reset(seed=0)
    first = env.render()
    env.close()
    env.close()
    np.testing.assert_array_equal(env.render(), first)
    env.close()


def test_a_forgotten_renderer_leaves_no_traceback() -> None:
    script = """
import gymnasium
env = gymnasium.make("envs:jepa-mpc/Reach-v0", render_mode="rgb_array")
env.reset(seed=0)
env.render()
"""
    environment = {name: value for name, value in os.environ.items() if name != "_JEPA_MPC_RENDERERS"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.startswith("rendering with ")
    assert done.stderr.count("\n") == 1
