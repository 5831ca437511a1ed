"""MuJoCo's own viewer around a session: a thin loop, all that needs a display."""

import threading
import warnings
from collections.abc import Sequence
from contextlib import suppress
from queue import SimpleQueue
from time import perf_counter, sleep
from typing import Any

from agent.evaluation.view.keys import KEYS
from agent.evaluation.view.session import Session, ViewableTask
from envs.simulator import mujoco
from jepa_mpc.errors import UserError

MOUSE = [
    ("Double-click", "choose the goal, or what to push"),
    ("Ctrl + right drag", "drag or push it, up and down"),
    ("Ctrl + Shift + right drag", "drag or push it, along the table"),
    ("Ctrl + left drag", "turn it"),
    ("Ctrl + Q", "close"),
]
"""What the mouse does in the window, and how it is closed."""

_CLOSING_S = 10.0
"""A window that takes longer to close is left to the system, s."""


class NoDisplay(UserError):  # noqa: N818 - it is no error that nothing depends on
    """There is nowhere to open a window; the message says what helps."""


def check_display() -> None:
    """Opens a hidden window and closes it: where that fails, MuJoCo's viewer waits for ever or ends the process.

    Raises:
        NoDisplay: It cannot be opened.
    """
    import glfw

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # GLFW warns of what is told here
        opened = bool(glfw.init())
        if opened:
            glfw.window_hint(glfw.VISIBLE, glfw.FALSE)
            opened = bool(glfw.create_window(16, 16, "", None, None))
        glfw.terminate()
    if not opened:
        raise NoDisplay(
            "a window needs a display with OpenGL, and there is none here: record=FILE writes a film instead, .gif, "
            ".webp or .mp4, or a Rerun recording, .rrd"
        )


def open_window(session: Session, task: ViewableTask) -> None:
    """Shows a session in real time, or as fast as the agent decides, until the window is closed.

    Raises:
        NoDisplay: There is nowhere to open a window.
    """
    import mujoco.viewer

    check_display()
    scene = mujoco.MjData(task.scene())
    task.show(scene)
    pressed: SimpleQueue[int] = SimpleQueue()
    before = set(threading.enumerate())
    try:
        viewer = mujoco.viewer.launch_passive(
            scene.model, scene, key_callback=pressed.put, show_left_ui=False, show_right_ui=False
        )
    except RuntimeError as error:  # as on macOS, outside of mjpython
        raise NoDisplay(f"MuJoCo opens no window: {' '.join(str(error).split())}") from None
    threads = set(threading.enumerate()) - before
    try:
        with viewer.lock():
            mujoco.mjv_defaultFreeCamera(scene.model, viewer.cam)  # as the scene wants to be seen
        while viewer.is_running():
            start = perf_counter()
            _turn(session, task, viewer, scene, pressed)
            sleep(max(0.0, start + task.spec.control_dt - perf_counter()))
    finally:
        viewer.close()
        for thread in threads:  # the process must not end before it has let go of the window
            thread.join(_CLOSING_S)


def _turn(session: Session, task: ViewableTask, viewer: Any, scene: Any, pressed: "SimpleQueue[int]") -> None:
    """Lets people reach in and the agent act for a control step, and shows what came of it."""
    while not pressed.empty():
        session.press(pressed.get())
    with viewer.lock():
        session.reach_in(scene)
    session.step()
    with viewer.lock():
        task.show(scene)
    viewer.sync()
    with suppress(mujoco.UnexpectedError):  # it was closed a moment ago
        viewer.set_texts(_texts(session))


def _texts(session: Session) -> list[tuple[int, int, str, str]]:
    """Returns what the window says: what is on, and how it is used where people asked for that."""
    font, places = mujoco.mjtFontScale.mjFONTSCALE_150, mujoco.mjtGridPos
    texts = [(font, places.mjGRID_BOTTOMLEFT, *_columns(session.status()))]
    if session.switches.shows_keys:
        keys = [(key.name, key.meaning) for key in KEYS.values()]
        texts.append((font, places.mjGRID_TOPRIGHT, *_columns([*keys, *MOUSE])))
    else:
        texts.append((font, places.mjGRID_TOPRIGHT, "F8", "keys"))
    return texts


def _columns(lines: Sequence[tuple[str, str]]) -> tuple[str, str]:
    left, right = zip(*lines, strict=True)
    return "\n".join(left), "\n".join(right)
