"""Camera images of a simulation, by whichever OpenGL backend the machine has.

MuJoCo reads `MUJOCO_GL` when it is first imported and does not fall back by itself. Here the backend is chosen when the
first renderer is made, and nothing of OpenGL is touched before.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

BACKENDS = ("egl", "osmesa", "glfw")
"""Without a display: egl, osmesa. With one: glfw."""

FIXES = {
    "egl": "apt-get install -y --no-install-recommends libegl1 libgl1",
    "osmesa": "apt-get install -y --no-install-recommends libosmesa6 libgl1",
    "glfw": "run it where a display is, so that DISPLAY is set, or use egl",
}

CAMERA = "fixed"


@dataclass(frozen=True)
class Marker:
    """A translucent ball for human eyes; no sensor sees it.

    Attributes:
        position: m, `[3]`.
        radius: m.
    """

    position: NDArray[np.float32]
    radius: float


class Renderer:
    """Draws a simulation off screen. One a process, never before a fork, closed explicitly.

    Args:
        model: What is drawn.
        width: Of an image, pixels.
        height: Of an image, pixels.

    Raises:
        RuntimeError: No backend renders here.
    """

    def __init__(self, model: Any, *, width: int, height: int) -> None:
        backend = choose_backend()
        self._model = model
        self._shape = (height, width, 3)
        self._context = import_module(f"mujoco.{backend}").GLContext(width, height)
        self._context.make_current()
        self._resources = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_resizeOffscreen(width, height, self._resources)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._resources)
        self._viewport = mujoco.MjrRect(0, 0, width, height)
        self._scene = mujoco.MjvScene(model, maxgeom=200)
        self._options = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = model.camera(CAMERA).id

    def image(self, data: Any, *, markers: Sequence[Marker] = ()) -> NDArray[np.uint8]:
        """Returns what the camera sees, `[height, width, 3]`."""
        self._context.make_current()
        mujoco.mj_camlight(self._model, data)  # kinematics alone leaves cameras and lights where they were
        mujoco.mjv_updateScene(
            self._model, data, self._options, None, self._camera, mujoco.mjtCatBit.mjCAT_ALL, self._scene
        )
        for marker in markers:
            self._add(marker)
        image = np.empty(self._shape, np.uint8)
        mujoco.mjr_render(self._viewport, self._scene, self._resources)
        mujoco.mjr_readPixels(image, None, self._viewport, self._resources)
        return image[::-1].copy()  # OpenGL counts rows from below

    def close(self) -> None:
        """Frees what the graphics driver holds."""
        self._context.make_current()
        self._resources.free()
        self._context.free()

    def _add(self, marker: Marker) -> None:
        geom = self._scene.geoms[self._scene.ngeom]
        mujoco.mjv_initGeom(
            geom,
            mujoco.mjtGeom.mjGEOM_SPHERE,
            np.full(3, marker.radius),
            np.asarray(marker.position, np.float64),
            np.eye(3).ravel(),
            np.array([0.1, 0.8, 0.3, 0.45], np.float32),
        )
        self._scene.ngeom += 1


@dataclass(frozen=True)
class Probe:
    """What became of rendering one frame with a backend in a process of its own.

    Attributes:
        backend: Its name.
        works: Whether there was a picture.
        message: One sentence; the exact fix where it does not work.
    """

    backend: str
    works: bool
    message: str


def probe_backend(backend: str) -> Probe:
    """Renders one frame in a subprocess, where a crash of a graphics driver hurts nobody.

    Raises:
        ValueError: No such backend.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    environment = {**os.environ, "MUJOCO_GL": backend}
    environment.pop("PYOPENGL_PLATFORM", None)
    command = [sys.executable, "-m", "envs.rendering"]
    try:
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        reason = (result.stderr.strip().splitlines() or ["no picture"])[-1]
        works = result.returncode == 0
    except subprocess.TimeoutExpired:
        works, reason = False, "no answer within 60 s"
    message = f"{backend} renders" if works else f"{backend} does not render ({reason}): {FIXES[backend]}"
    return Probe(backend=backend, works=works, message=message)


def available_backends() -> tuple[str, ...]:
    """Returns the backends that render on this machine; each is tried in a subprocess."""
    return tuple(backend for backend in BACKENDS if probe_backend(backend).works)


@cache
def choose_backend() -> str:
    """Returns `MUJOCO_GL` where it is set, else the first backend that renders, and sets `MUJOCO_GL` to it.

    Raises:
        RuntimeError: Nothing renders, or `MUJOCO_GL` names no backend.
    """
    named = os.environ.get("MUJOCO_GL", "")
    if named:
        if named not in BACKENDS:
            raise RuntimeError(f"nothing is rendered with MUJOCO_GL={named!r}: unset it, or set one of {BACKENDS}")
        return named
    probes = []
    for backend in BACKENDS:
        probes.append(probe_backend(backend))
        if probes[-1].works:
            os.environ["MUJOCO_GL"] = backend
            return backend
    raise RuntimeError("no backend renders here: " + "; ".join(probe.message for probe in probes))


def _render_test_frame() -> None:
    """Draws a white ball; fails where the picture is black."""
    xml = """
    <mujoco><worldbody>
      <light pos="0 0 3"/>
      <camera name="fixed" pos="0 0 2"/>
      <geom size=".5"/>
    </worldbody></mujoco>
    """
    model = mujoco.MjModel.from_xml_string(xml)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = Renderer(model, width=64, height=64)
    image = renderer.image(data)
    renderer.close()
    if not image.any():
        raise RuntimeError("the picture is black")


if __name__ == "__main__":
    _render_test_frame()
