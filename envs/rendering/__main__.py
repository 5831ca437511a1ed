"""Prints how many frames a second a backend renders: `python -m envs.rendering egl`."""

import sys
import time
from pathlib import Path

import numpy as np

from envs.rendering import make_renderer
from envs.rendering.probe import SIZE
from envs.simulator import mujoco

NUM_FRAMES = 50


def frames_per_second(backend: str) -> float:
    """Returns the rate at which a backend draws the arm, once it is warm.

    Raises:
        RuntimeError: It does not render.
    """
    model = mujoco.MjModel.from_xml_path(str(Path(__file__).parents[1] / "assets" / "reach.xml"))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = make_renderer(model, camera="fixed", width=SIZE, height=SIZE, backend=backend)
    if not np.ptp(renderer.image(data)):
        raise RuntimeError(f"{backend} does not render: the picture shows nothing")
    seconds = []
    for _ in range(NUM_FRAMES):
        began = time.perf_counter()
        renderer.image(data)
        seconds.append(time.perf_counter() - began)
    renderer.close()
    return 1 / float(np.median(seconds))


if __name__ == "__main__":
    try:
        print(frames_per_second(sys.argv[1]))
    except RuntimeError as error:
        sys.exit(str(error))
