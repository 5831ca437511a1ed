"""Camera images of a simulation, by whichever backend the machine has.

MuJoCo itself reads `MUJOCO_GL` when it is first imported and does not fall back. Here the backend is chosen when images
are first asked for; until then nothing of OpenGL is touched, and state observations need none of it.
"""

from typing import Any

from envs.rendering.choice import BACKENDS, available_backends, choose_backend
from envs.rendering.opengl import FIXES, OpenGLRenderer
from envs.rendering.probe import probe_backend
from envs.rendering.raycast import RaycastRenderer
from envs.rendering.types import Marker, NothingRenders, Renderer

__all__ = [
    "BACKENDS",
    "FIXES",
    "Marker",
    "NothingRenders",
    "Renderer",
    "available_backends",
    "choose_backend",
    "make_renderer",
    "probe_backend",
]


def make_renderer(model: Any, *, camera: str, width: int, height: int, backend: str) -> Renderer:
    """Returns what draws a model as one of its cameras sees it.

    Make it in the process that uses it, never before a fork, and close it.

    Args:
        model: What is drawn.
        camera: Its name in the model.
        width: Of an image, pixels.
        height: Of an image, pixels.
        backend: As `choose_backend` returns it.

    Raises:
        NothingRenders: The backend does not render here; the message says what helps.
        ValueError: No such backend.
    """
    if backend == "raycast":
        return RaycastRenderer(model, camera=camera, width=width, height=height)
    if backend in FIXES:
        return OpenGLRenderer(model, camera=camera, width=width, height=height, backend=backend)
    raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
