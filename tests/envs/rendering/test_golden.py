"""Pictures as they were when somebody looked at them: `python -m tests.envs.rendering.test_golden` takes them anew."""

from pathlib import Path

import gymnasium
import imageio.v3 as iio
import numpy as np
import pytest
from numpy.typing import NDArray

import envs  # noqa: F401
from envs.rendering import FIXES, Marker, available_backends, make_renderer

FOLDER = Path(__file__).parent / "golden"

PICTURES = ("side", "wrist", "marked")


def take(picture: str, backend: str) -> NDArray[np.uint8]:
    """Draws push in a fixed posture; from the side by a camera of our own, as those of the tasks may be moved."""
    env = gymnasium.make("jepa-mpc/Push-v0").unwrapped
    env.reset(seed=0)
    env.data.qpos[:] = [0.05, -0.05, 0.1, -2.25, 0.05, 2.3, 0.9, 0.56, 0.1, 0.035, 0.924, 0, 0, 0.383]
    env.control.refresh()
    fixed = env.model.camera("fixed")
    fixed.pos[:], fixed.fovy[:] = (1.15, -0.55, 0.75), 42
    fixed.quat[:] = 0.8225, 0.3845, 0.1775, 0.3797
    markers = [Marker(np.array([0.6, -0.15, 0.05], np.float32), 0.06)] if picture == "marked" else []
    camera = "wrist" if picture == "wrist" else "fixed"
    renderer = make_renderer(env.model, camera=camera, width=64, height=64, backend=backend)
    image = renderer.image(env.data, markers=markers)
    renderer.close()
    return image


def off(picture: str, backend: str) -> NDArray[np.int64]:
    golden = iio.imread(FOLDER / f"{picture}.png")
    return np.abs(take(picture, backend).astype(int) - golden).max(axis=2)


@pytest.mark.parametrize("picture", PICTURES)
def test_rays_draw_the_golden_picture(picture: str) -> None:
    assert off(picture, "raycast").max() <= 1


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("backend", FIXES)
def test_opengl_draws_the_golden_picture_but_for_outlines(backend: str, picture: str) -> None:
    if backend not in available_backends():
        pytest.skip(f"{backend} does not render on this machine")
    found = off(picture, backend)
    assert found.mean() < 1.5
    assert (found > 12).mean() < 0.02


if __name__ == "__main__":
    for picture in PICTURES:
        iio.imwrite(FOLDER / f"{picture}.png", take(picture, "raycast"))
