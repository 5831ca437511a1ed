"""Which backend a command renders with: one choice, made once, and inherited by its worker processes."""

import os
import sys

from envs.rendering.opengl import FIXES
from envs.rendering.probe import Probe, probe_backend
from envs.rendering.speed import SIZE

BACKENDS = (*FIXES, "raycast")

SLOW = 300
"""Frames/s at 64 pixels."""

_CHOICE = "JEPA_MPC_RENDERER"
"""The environment variable by which worker processes learn what was chosen."""


def choose_backend(preferred: str | None) -> str:
    """Returns the backend to render with, and says on stderr which and how fast it is, once a command.

    Args:
        preferred: Its name; None takes what was chosen before, else the OpenGL backend that `MUJOCO_GL` names or the
            first that renders, else raycast.

    Raises:
        RuntimeError: `preferred` does not render here; the message says what helps.
        ValueError: No such backend, `preferred` or in the environment variable.
    """
    if preferred is not None and preferred not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {preferred!r}")
    chosen = os.environ.get(_CHOICE) or None
    if chosen not in (None, *BACKENDS):
        raise ValueError(f"{_CHOICE} must be one of {', '.join(BACKENDS)}, or unset, got {chosen!r}")
    if chosen is not None and preferred in (None, chosen):
        return chosen
    probe = _first_that_renders() if preferred is None else probe_backend(preferred)
    if not probe.works:
        raise RuntimeError(probe.message)
    os.environ[_CHOICE] = probe.backend
    print(_announcement(probe), file=sys.stderr)
    return probe.backend


def available_backends() -> tuple[str, ...]:
    """Returns the backends that render on this machine."""
    return tuple(backend for backend in BACKENDS if probe_backend(backend).works)


def _first_that_renders() -> Probe:
    named = os.environ.get("MUJOCO_GL")
    candidates = tuple(FIXES) if not named else (named,) if named in FIXES else ()
    probes = (probe_backend(backend) for backend in candidates)
    return next((probe for probe in probes if probe.works), None) or probe_backend("raycast")


def _announcement(probe: Probe) -> str:
    assert probe.frames_per_second is not None
    told = f"rendering with {probe.backend}: {probe.frames_per_second:,.0f} frames/s at {SIZE} pixels"
    if probe.frames_per_second >= SLOW:
        return told
    others = [probe_backend(backend) for backend in BACKENDS if backend != probe.backend]
    fastest = max(others, key=lambda other: other.frames_per_second or 0.0)
    if (fastest.frames_per_second or 0.0) <= probe.frames_per_second:
        return f"{told}, which is slow, and nothing else here is faster"
    return f"{told}, which is slow: {fastest.message}"
