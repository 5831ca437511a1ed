"""Which backend a command renders with: one choice, made once, and inherited by its worker processes."""

import json
import os
import sys

from envs.rendering.opengl import FIXES
from envs.rendering.probe import Probe, probe_backend
from envs.rendering.speed import SIZE
from envs.rendering.types import NothingRenders

BACKENDS = (*FIXES, "raycast")

SLOW = 300
"""Frames/s at 64 pixels."""

_CHOICES = "_JEPA_MPC_RENDERERS"
"""The environment variable by which worker processes learn what was chosen: what was asked for to what draws, JSON."""

AUTO = "auto"
"""Whatever renders here."""


def choose_backend(asked: str = AUTO) -> str:
    """Returns the backend to render with, and says on stderr which and how fast it is, once a command.

    Args:
        asked: Its name; "auto" takes the OpenGL backend that `MUJOCO_GL` names or the first that renders, else
            raycast.

    Raises:
        NothingRenders: It does not render here; the message says what helps.
        ValueError: No such backend.
    """
    if asked not in (*BACKENDS, AUTO):
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, or auto, got {asked!r}")
    choices: dict[str, str] = json.loads(os.environ.get(_CHOICES, "{}"))
    if asked not in choices:
        probe = _first_that_renders() if asked == AUTO else probe_backend(asked)
        if not probe.works:
            raise NothingRenders(probe.message)
        if probe.backend not in choices.values():
            print(_announcement(probe, asked), file=sys.stderr)
        choices[asked] = probe.backend
        os.environ[_CHOICES] = json.dumps(choices)
    return choices[asked]


def available_backends() -> tuple[str, ...]:
    """Returns the backends that render on this machine."""
    return tuple(backend for backend in BACKENDS if probe_backend(backend).works)


def _first_that_renders() -> Probe:
    named = os.environ.get("MUJOCO_GL")
    candidates = tuple(FIXES) if not named else (named,) if named in FIXES else ()
    probes = (probe_backend(backend) for backend in candidates)
    return next((probe for probe in probes if probe.works), None) or probe_backend("raycast")


def _announcement(probe: Probe, asked: str) -> str:
    assert probe.frames_per_second is not None
    told = f"rendering with {probe.backend}: {probe.frames_per_second:,.0f} frames/s at {SIZE} pixels"
    named = os.environ.get("MUJOCO_GL")
    if asked == AUTO and named and named != probe.backend:
        told += f" (MUJOCO_GL={named} is none of {', '.join(FIXES)}, or does not render here)"
    if probe.frames_per_second >= SLOW:
        return told
    others = [probe_backend(backend) for backend in BACKENDS if backend != probe.backend]
    fastest = max(others, key=lambda other: other.frames_per_second or 0.0)
    if (fastest.frames_per_second or 0.0) <= probe.frames_per_second:
        return f"{told}, which is slow, and nothing else here is faster"
    return f"{told}, which is slow: {fastest.message}"
