"""Camera images of a simulation, by whichever OpenGL backend the machine has.

MuJoCo itself reads `MUJOCO_GL` when it is first imported and does not fall back. Here the backend is chosen when the
first renderer is made; until then nothing of OpenGL is touched, and state observations need none of it.
"""

import atexit
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.simulator import mujoco

FIXES = {
    "egl": "install it with `apt-get install -y --no-install-recommends libegl1 libgl1`",
    "osmesa": "install it with `apt-get install -y --no-install-recommends libosmesa6 libgl1`",
    "glfw": "start it where DISPLAY names a display, or use egl",
}
"""Backend to what helps where it fails, in the order in which they are tried."""

CAMERA = "fixed"

MARKER_COLOR = (0.1, 0.8, 0.3, 0.5)

PROBE_TIMEOUT = 60
"""s."""


@dataclass(frozen=True)
class Marker:
    """A translucent ball for human eyes; no sensor sees it.

    Attributes:
        position: `[3]`, m.
        radius: m.
    """

    position: NDArray[np.float32]
    radius: float


@dataclass(frozen=True)
class Probe:
    """What became of one frame that was rendered in a process of its own.

    Attributes:
        backend: Its name.
        works: Whether there was a picture.
        message: One sentence; it holds the exact fix where there was none.
    """

    backend: str
    works: bool
    message: str


class Renderer:
    """Draws a simulation off screen, as the model's camera `fixed` sees it.

    Make one a process, never before a fork, and close it.

    Args:
        model: What is drawn.
        width: Of an image, pixels.
        height: Of an image, pixels.

    Raises:
        RuntimeError: No backend renders here; the message says what helps.
    """

    def __init__(self, model: Any, *, width: int, height: int) -> None:
        self._model = model
        self._context, self._resources = _open(choose_backend(), model, width=width, height=height)
        mujoco.mjr_resizeOffscreen(width, height, self._resources)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._resources)
        self._viewport = mujoco.MjrRect(0, 0, width, height)
        self._scene = mujoco.MjvScene(model, maxgeom=2 * model.ngeom + 100)
        self._options = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = model.camera(CAMERA).id
        self._release = partial(_release, self._context, self._resources)
        atexit.register(self._release)  # else a forgotten renderer ends in a traceback of the driver

    def image(self, data: Any, *, markers: Sequence[Marker] = ()) -> NDArray[np.uint8]:
        """Returns what the camera sees, `[height, width, 3]`."""
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


@cache
def choose_backend() -> str:
    """Returns the backend that `MUJOCO_GL` names, else the first that renders, and lets `MUJOCO_GL` name it.

    Worker processes inherit the choice, and only the first process pays for the search.

    Raises:
        RuntimeError: Nothing renders, or `MUJOCO_GL` names no backend that we know.
    """
    os.environ.setdefault("LP_NUM_THREADS", "1")  # Mesa's software renderer is faster on small frames without threads
    named = os.environ.get("MUJOCO_GL", "")
    if named in FIXES:
        return named
    if named:
        raise RuntimeError(f"MUJOCO_GL must be unset or one of {', '.join(FIXES)} to render, got {named!r}")
    messages = []
    for backend in FIXES:
        probe = probe_backend(backend)
        if probe.works:
            os.environ["MUJOCO_GL"] = backend
            return backend
        messages.append(probe.message)
    raise RuntimeError("nothing renders here: " + "; ".join(messages))


def available_backends() -> tuple[str, ...]:
    """Returns the backends that render on this machine."""
    return tuple(backend for backend in FIXES if probe_backend(backend).works)


def probe_backend(backend: str) -> Probe:
    """Renders one frame in a subprocess, where a crash of a graphics driver hurts nobody.

    Raises:
        ValueError: No such backend.
    """
    if backend not in FIXES:
        raise ValueError(f"backend must be one of {', '.join(FIXES)}, got {backend!r}")
    # MuJoCo would fail at import where the variable names a backend that is not there.
    environment = {key: value for key, value in os.environ.items() if key not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    command = [sys.executable, "-m", "envs.rendering", backend]
    try:
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PROBE_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return Probe(backend, False, _failure(backend, f"no picture within {PROBE_TIMEOUT} s"))
    if result.returncode == 0:
        return Probe(backend, True, f"{backend} renders")
    told = [line for line in result.stderr.splitlines() if line.startswith(f"{backend} does not render")]
    return Probe(backend, False, told[-1] if told else _failure(backend, f"exit status {result.returncode}"))


def _open(backend: str, model: Any, *, width: int, height: int) -> tuple[Any, Any]:
    """Returns an OpenGL context and the model's resources in it."""
    os.environ["MUJOCO_GL"] = backend  # the native library reads it as well
    try:
        context = import_module(f"mujoco.{backend}").GLContext(width, height)
        context.make_current()
        return context, mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
    except Exception as error:  # whatever a driver, or PyOpenGL without one, may raise
        raise RuntimeError(_failure(backend, " ".join(str(error).split()) or type(error).__name__)) from error


def _release(context: Any, resources: Any) -> None:
    context.make_current()
    resources.free()
    context.free()


def _failure(backend: str, reason: str) -> str:
    return f"{backend} does not render ({reason}): {FIXES[backend]}"


def _draw_test_frame(backend: str) -> None:
    os.environ["MUJOCO_GL"] = backend
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><worldbody><camera name="fixed" pos="0 0 2"/><geom size=".5"/></worldbody></mujoco>'
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = Renderer(model, width=64, height=64)
    image = renderer.image(data)
    renderer.close()
    if not image.any():
        raise RuntimeError(_failure(backend, "the picture is black"))


if __name__ == "__main__":
    try:
        _draw_test_frame(sys.argv[1])
    except RuntimeError as error:
        sys.exit(str(error))
