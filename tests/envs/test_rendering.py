import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

import envs  # noqa: F401
from envs.rendering import FIXES, Marker, available_backends, choose_backend, make_renderer, probe_backend

GOAL = np.array([0.5, 0.1], np.float32)


@pytest.fixture(scope="module")
def rendering() -> None:
    if not available_backends():
        pytest.skip("nothing renders on this machine")


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


def test_a_frame_shows_finger_block_and_goal(rendering: None) -> None:
    env = gymnasium.make("jepa-mpc/Push-v0", render_mode="rgb_array", width=160, height=120)
    for seed in range(5):
        env.reset(seed=seed)
        frame = env.render()
        assert frame.shape == (120, 160, 3)
        assert frame.dtype == np.uint8
        assert all(pixels > 15 for pixels in counts(frame).values()), counts(frame)
    env.close()


def test_the_marker_is_drawn_only_on_request(rendering: None) -> None:
    env = gymnasium.make("jepa-mpc/Push-v0").unwrapped
    env.reset(seed=0, options={"goal": GOAL})
    renderer = make_renderer(env.model, camera="fixed", width=64, height=64, backend=choose_backend(None))
    marked = renderer.image(env.data, markers=[Marker(np.array([*GOAL, 0.035], np.float32), 0.05)])
    plain = renderer.image(env.data)
    renderer.close()
    assert counts(marked)["goal"] > 20
    assert counts(plain)["goal"] == 0


def test_the_marker_is_where_the_goal_is(rendering: None) -> None:
    env = gymnasium.make("jepa-mpc/Reach-v0").unwrapped
    env.reset(seed=0)
    env.control.place(np.array([0.35, 0.25, 0.3]))
    env.control.refresh()
    renderer = make_renderer(env.model, camera="fixed", width=96, height=96, backend=choose_backend(None))
    center, camera = np.array([0.5, 0.0, 0.1]), env.model.camera("fixed")
    image = renderer.image(env.data, markers=[Marker(center.astype(np.float32), 0.03)])
    renderer.close()
    right, up, back = env.data.cam_xmat[camera.id].reshape(3, 3).T
    seen = center - env.data.cam_xpos[camera.id]
    focal = 48 / np.tan(np.radians(camera.fovy[0] / 2))
    expected = 48 + focal * np.array([-(seen @ up), seen @ right]) / -(seen @ back)
    green = image[..., 1].astype(int) - image[..., 0] > 60
    np.testing.assert_allclose(np.argwhere(green).mean(axis=0), expected, atol=1.5)


def test_drawing_changes_neither_the_physics_nor_the_next_picture(rendering: None) -> None:
    env = gymnasium.make("jepa-mpc/Push-v0", render_mode="rgb_array", width=64, height=64).unwrapped
    env.reset(seed=0)
    state = env.get_state()
    first = env.render()
    np.testing.assert_array_equal(env.get_state(), state)
    np.testing.assert_array_equal(env.render(), first)
    env.close()


def test_a_closed_environment_can_be_closed_again_and_draws_again(rendering: None) -> None:
    env = gymnasium.make("jepa-mpc/Reach-v0", render_mode="rgb_array", width=32, height=32).unwrapped
    env.reset(seed=0)
    first = env.render()
    env.close()
    env.close()
    np.testing.assert_array_equal(env.render(), first)
    env.close()


def test_a_forgotten_renderer_leaves_no_traceback(rendering: None) -> None:
    script = """
import gymnasium
env = gymnasium.make("envs:jepa-mpc/Reach-v0", render_mode="rgb_array")
env.reset(seed=0)
env.render()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.parametrize("backend", FIXES)
def test_a_probe_says_what_helps_where_nothing_is_drawn(backend: str) -> None:
    probe = probe_backend(backend)
    assert probe.backend == backend
    assert probe.message == f"{backend} renders" if probe.works else probe.message.endswith(FIXES[backend])
    assert "\n" not in probe.message


def test_a_backend_that_is_missing_is_one_sentence_with_its_fix() -> None:
    script = """
import sys
sys.modules["OpenGL"] = None
import gymnasium
env = gymnasium.make("envs:jepa-mpc/Reach-v0", render_mode="rgb_array")
env.reset(seed=0)
try:
    env.render()
except RuntimeError as error:
    print(error)
"""
    environment = {"MUJOCO_GL": "egl", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("egl does not render (")
    assert done.stdout.strip().endswith(FIXES["egl"])


def test_a_backend_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="one of egl, osmesa, glfw, got 'vulkan'"):
        probe_backend("vulkan")
