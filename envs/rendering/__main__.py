"""Prints how many frames a second a backend renders: `python -m envs.rendering egl`."""

import sys
import time

import numpy as np

from envs.reach import ReachEnv
from envs.rendering import make_renderer
from envs.rendering.probe import SIZE

NUM_FRAMES = 20


def frames_per_second(backend: str) -> float:
    """Returns the rate at which a backend draws the arm over the middle of the table, once it is warm.

    Raises:
        RuntimeError: It does not render.
    """
    env = ReachEnv()
    env.control.place(np.array([0.5, 0.0, 0.1]))
    env.control.refresh()
    renderer = make_renderer(env.model, camera="fixed", width=SIZE, height=SIZE, backend=backend)
    if not np.ptp(renderer.image(env.data)):
        raise RuntimeError(f"{backend} does not render: the picture shows nothing")
    seconds = []
    for _ in range(NUM_FRAMES):
        began = time.perf_counter()
        renderer.image(env.data)
        seconds.append(time.perf_counter() - began)
    renderer.close()
    return 1 / min(seconds)  # the others may have waited for other processes


if __name__ == "__main__":
    try:
        print(frames_per_second(sys.argv[1]))
    except RuntimeError as error:
        sys.exit(str(error))
