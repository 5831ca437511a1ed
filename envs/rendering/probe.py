"""Whether a backend renders on this machine, and how fast."""

import os
import subprocess
from dataclasses import dataclass
from functools import cache

from envs.episodes.parallel import python_command
from envs.rendering.opengl import failure
from envs.rendering.raycast import RaycastRenderer
from envs.rendering.speed import SIZE, frames_per_second

TIMEOUT = 60
"""s."""


@dataclass(frozen=True)
class Probe:
    """What became of a few frames.

    Attributes:
        backend: Its name.
        frames_per_second: On one core at 64 pixels; None where there was no picture.
        message: One sentence; it holds the exact fix where there was no picture.
    """

    backend: str
    frames_per_second: float | None
    message: str

    @property
    def works(self) -> bool:
        """Whether there was a picture."""
        return self.frames_per_second is not None


@cache
def probe_backend(backend: str) -> Probe:
    """Renders, with OpenGL in a subprocess, where a crash of a graphics driver hurts nobody. The answer is kept."""
    if backend == "raycast":
        return _success(backend, frames_per_second(RaycastRenderer))
    # MuJoCo would fail at import where the variable names a backend that is not there.
    kept = {key: value for key, value in os.environ.items() if key not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    command = python_command("import runpy; runpy.run_module('envs.rendering', run_name='__main__')", backend)
    try:
        result = subprocess.run(command, env=kept, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return Probe(backend, None, failure(backend, f"no picture within {TIMEOUT} s"))
    if result.returncode == 0:
        return _success(backend, float(result.stdout))
    lines = result.stderr.splitlines() or [f"exit status {result.returncode}"]
    told = [line for line in lines if line.startswith(f"{backend} does not render")]
    return Probe(backend, None, told[-1] if told else failure(backend, lines[-1]))


def _success(backend: str, rate: float) -> Probe:
    return Probe(backend, rate, f"{backend} renders {rate:,.0f} frames/s at {SIZE} pixels")
