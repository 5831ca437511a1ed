"""How fast a renderer draws, on a scene that we ship."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from envs.kinematics import HOME, NUM_JOINTS
from envs.rendering.types import Renderer
from envs.simulator import mujoco

SIZE = 64
"""Width and height of the frames that are timed, pixels."""

_NUM_FRAMES = 20

_SCENE = Path(__file__).parents[1] / "assets" / "reach.xml"


def frames_per_second(make: Callable[..., Renderer], **values: Any) -> float:
    """Returns the rate at which a renderer draws the arm at home, once it is warm.

    Args:
        make: Makes the renderer of a model, given camera, width and height.
        values: What else it is given.

    Raises:
        RuntimeError: It does not render.
    """
    model = mujoco.MjModel.from_xml_path(str(_SCENE))
    data = mujoco.MjData(model)
    data.qpos[:NUM_JOINTS] = HOME
    mujoco.mj_kinematics(model, data)
    renderer = make(model, camera="fixed", width=SIZE, height=SIZE, **values)
    if not np.ptp(renderer.image(data)):
        raise RuntimeError("the picture shows nothing")
    seconds = []
    for _ in range(_NUM_FRAMES):
        began = time.perf_counter()
        renderer.image(data)
        seconds.append(time.perf_counter() - began)
    renderer.close()
    return 1 / min(seconds)  # the others may have waited for other processes
