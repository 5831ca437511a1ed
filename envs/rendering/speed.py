"""How fast a renderer draws, on a small scene: as many shapes as a robot has, on a table."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from envs.rendering.types import NothingRenders, Renderer
from envs.simulator import mujoco

SIZE = 64
"""Width and height of the frames that are timed, pixels."""

_NUM_FRAMES = 20

_LINK = (
    '<body pos="0.08 0 0.05"><joint/>'
    '<geom type="capsule" fromto="0 0 -0.1 0 0 0.06" size="0.05" mass="1" rgba="0.82 0.84 0.87 1"/>'
    '<geom type="capsule" fromto="0 0 0 0.08 0 0.05" size="0.05" mass="1" rgba="0.82 0.84 0.87 1"/>'
)
_NUM_LINKS = 8

_SCENE = f"""
<mujoco>
  <worldbody>
    <light directional="true" castshadow="false" dir="-0.1 0.35 -1" diffuse="0.45 0.45 0.45" specular="0 0 0"/>
    <camera name="fixed" pos="1.30 -0.65 0.80" fovy="40" xyaxes="0.6075 0.7944 0 -0.3631 0.2777 0.8894"/>
    <geom type="plane" pos="0 0 -0.4" size="3 3 0.1" rgba="0.25 0.28 0.32 1"/>
    <geom type="box" pos="0.52 0 -0.02" size="0.36 0.5 0.02" rgba="0.62 0.56 0.48 1"/>
    {_LINK * _NUM_LINKS}{"</body>" * _NUM_LINKS}
  </worldbody>
</mujoco>
"""


def frames_per_second(make: Callable[..., Renderer], **values: Any) -> float:
    """Returns the rate at which a renderer draws the scene, once it is warm.

    Args:
        make: Makes the renderer of a model, given camera, width and height.
        values: What else it is given.

    Raises:
        NothingRenders: It does not render.
    """
    model = mujoco.MjModel.from_xml_string(_SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = make(model, camera="fixed", width=SIZE, height=SIZE, **values)
    if not np.ptp(renderer.image(data)):
        raise NothingRenders("the picture shows nothing")
    seconds = []
    for _ in range(_NUM_FRAMES):
        began = time.perf_counter()
        renderer.image(data)
        seconds.append(time.perf_counter() - began)
    renderer.close()
    return 1 / min(seconds)  # the others may have waited for other processes
