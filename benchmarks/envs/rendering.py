"""How many frames a second our cameras draw on one core, beside MuJoCo's renderer with its default settings.

`python -m benchmarks.envs.rendering`, from the root of the checkout. Each contender has a process of its own, as
graphics drivers read their settings once. All draw the same scenes in turns, and what counts is the time that all
threads of the process spend on a core, so that the comparison holds on a busy machine too; where a GPU draws, that is
too little.
"""

import os
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import gymnasium
import numpy as np

import envs  # noqa: F401
from benchmarks.arguments import call
from benchmarks.tables import table
from envs.arm.mujoco_env import MujocoEnv
from envs.rendering import make_renderer, probe_backend

NUM_ROUNDS = 9
NUM_FRAMES = 20

MUJOCO = "mujoco's default"


class View(NamedTuple):
    """What is drawn."""

    task: str
    camera: str
    size: int


VIEWS = [
    View(task, camera, size)
    for task, camera in (("Reach", "fixed"), ("Push", "fixed"), ("Push", "wrist"))
    for size in (64, 96, 128)
]


class Artist:
    """Draws views with one contender, and times it."""

    def __init__(self, contender: str) -> None:
        self._contender = contender
        self._drawing: dict[View, tuple[MujocoEnv, Callable[[], Any]]] = {}

    def rate(self, view: View, seed: int) -> float:
        """Returns frames/s of a scene."""
        if view not in self._drawing:
            env = gymnasium.make(f"jepa-mpc/{view.task}-v0").unwrapped
            assert isinstance(env, MujocoEnv)
            self._drawing[view] = env, self._make(env, view)
        env, draw = self._drawing[view]
        env.reset(seed=seed)
        draw()
        began = time.process_time()
        for _ in range(NUM_FRAMES):
            draw()
        return NUM_FRAMES / (time.process_time() - began)

    def _make(self, env: MujocoEnv, view: View) -> Callable[[], Any]:
        if self._contender == MUJOCO:
            return draw_by_default(env, view)
        renderer = make_renderer(
            env.model, camera=view.camera, width=view.size, height=view.size, backend=self._contender
        )
        return lambda: renderer.image(env.data)


def draw_by_default(env: MujocoEnv, view: View) -> Callable[[], Any]:
    """MuJoCo's own renderer, on our model with all settings as they are where a model says nothing."""
    import mujoco  # reads MUJOCO_GL

    default = mujoco.MjModel.from_xml_string("<mujoco/>").vis.quality
    for name in ("shadowsize", "offsamples", "numslices", "numstacks", "numquads"):
        setattr(env.model.vis.quality, name, getattr(default, name))
    env.model.light_castshadow[:] = True
    renderer = mujoco.Renderer(env.model, view.size, view.size)

    def draw() -> Any:
        renderer.update_scene(env.data, view.camera)
        return renderer.render()

    return draw


def serve(connection: "Connection[Any, Any]", contender: str) -> None:
    """Answers views and seeds with rates until there is None."""
    artist = Artist(contender)
    while (task := connection.recv()) is not None:
        connection.send(artist.rate(*task))


def start(contender: str) -> "Connection[Any, Any]":
    """Returns a line to a new process."""
    os.environ["MUJOCO_GL"] = "egl"
    if contender == MUJOCO:
        os.environ.pop("LP_NUM_THREADS", None)
    else:
        os.environ["LP_NUM_THREADS"] = "1"
    context = get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=serve, args=(there, contender), daemon=True).start()
    return here


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    contenders = ["raycast", *(["egl", MUJOCO] if probe_backend("egl").works else [])]
    lines = {contender: start(contender) for contender in contenders}
    rates: dict[tuple[View, str], list[float]] = {(view, name): [] for view in VIEWS for name in contenders}
    for seed in range(NUM_ROUNDS):
        for (view, name), found in rates.items():
            lines[name].send((view, seed))
            found.append(lines[name].recv())
    for line in lines.values():
        line.send(None)
    print(f"frames/s on one core, median of {NUM_ROUNDS} scenes of {NUM_FRAMES} frames, in turns")
    rows = []
    for view in VIEWS:
        medians = [float(np.median(rates[view, name])) for name in contenders]
        ratio = [f"{medians[1] / medians[2]:.0f}", f"{medians[0] / medians[2]:.0f}"] if len(medians) > 1 else []
        rows.append(
            [f"{view.task.lower()}, {view.camera}, {view.size} px", *(f"{rate:,.0f}" for rate in medians), *ratio]
        )
    over = ["egl over default", "raycast over default"] if len(contenders) > 1 else []
    print(table(["view", *contenders, *over], rows))


if __name__ == "__main__":
    call(main)
