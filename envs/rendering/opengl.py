"""Camera images by OpenGL, through EGL, OSMesa or GLFW."""

import atexit
import os
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.rendering.types import MARKER_COLOR, Marker, NothingRenders
from envs.simulator import mujoco

FIXES = {
    "egl": "install it with `apt-get install -y --no-install-recommends libegl1 libgl1`",
    "osmesa": "install it with `apt-get install -y --no-install-recommends libosmesa6 libgl1`",
    "glfw": "start it where DISPLAY names a display, or use egl",
}
"""Backend to what helps where it fails, in the order in which they are tried."""

_opener: int | None = None
"""The process that opened OpenGL; its forks would hang in a graphics driver."""


class OpenGLRenderer:
    """Draws off screen by an OpenGL backend.

    Args:
        model: What is drawn.
        camera: Its name in the model.
        width: Of an image, pixels.
        height: Of an image, pixels.
        backend: One of `FIXES`.

    Raises:
        NothingRenders: The backend does not render here; the message says what helps.
    """

    def __init__(self, model: Any, *, camera: str, width: int, height: int, backend: str) -> None:
        self._model = model
        self._context, self._resources = _open(backend, model, width=width, height=height)
        mujoco.mjr_resizeOffscreen(width, height, self._resources)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._resources)
        self._viewport = mujoco.MjrRect(0, 0, width, height)
        self._scene = mujoco.MjvScene(model, maxgeom=2 * model.ngeom + 100)
        self._options = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = model.camera(camera).id
        self._release = partial(_release, self._context, self._resources)
        atexit.register(self._release)  # else a forgotten renderer ends in a traceback of the driver

    def image(self, data: Any, *, markers: Sequence[Marker] = ()) -> NDArray[np.uint8]:
        """Returns what the camera sees, `[height, width, 3]`."""
        _refuse_forks()
        self._context.make_current()
        mujoco.mj_camlight(self._model, data)  # kinematics alone leaves cameras and lights where they were
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._model, data, self._options, None, self._camera, everything, self._scene)
        for marker in markers:
            self._add(marker)
        mujoco.mjr_render(self._viewport, self._scene, self._resources)
        image = np.empty((self._viewport.height, self._viewport.width, 3), np.uint8)
        mujoco.mjr_readPixels(image, None, self._viewport, self._resources)
        return image[::-1].copy()  # OpenGL counts rows from below

    def close(self) -> None:
        """Frees what the graphics driver holds; the renderer is of no use afterwards."""
        atexit.unregister(self._release)
        self._release()

    def _add(self, marker: Marker) -> None:
        mujoco.mjv_initGeom(
            self._scene.geoms[self._scene.ngeom],
            mujoco.mjtGeom.mjGEOM_SPHERE.value,
            np.full(3, marker.radius),
            np.asarray(marker.position, np.float64),
            np.eye(3).ravel(),
            np.array(MARKER_COLOR, np.float32),
        )
        self._scene.ngeom += 1


def failure(backend: str, reason: str) -> str:
    """Returns one sentence: what failed, why, and what helps."""
    return f"{backend} does not render ({reason}): {FIXES[backend]}; raycast renders everywhere"


def _open(backend: str, model: Any, *, width: int, height: int) -> tuple[Any, Any]:
    """Returns an OpenGL context and the model's resources in it."""
    _refuse_forks()
    os.environ["MUJOCO_GL"] = backend  # the native library reads it as well
    os.environ.setdefault("LP_NUM_THREADS", "1")  # Mesa's software renderer is faster on small frames without threads
    try:
        context = import_module(f"mujoco.{backend}").GLContext(width, height)
        context.make_current()
        return context, mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
    except Exception as error:  # whatever a driver, or PyOpenGL without one, may raise
        raise NothingRenders(failure(backend, " ".join(str(error).split()) or type(error).__name__)) from error


def _refuse_forks() -> None:
    global _opener
    _opener = _opener or os.getpid()
    if _opener != os.getpid():
        raise NothingRenders(
            "OpenGL was opened before this process was forked and would hang here: fork first, or spawn"
        )


def _release(context: Any, resources: Any) -> None:
    if os.getpid() != _opener:
        return  # what a fork inherits is not its own
    context.make_current()
    resources.free()
    context.free()
