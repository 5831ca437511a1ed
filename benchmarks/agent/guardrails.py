"""Hostile planners behind the hard guardrails: what the robot is told and what it does, against the limits.

`python -m benchmarks.agent.guardrails [num_steps=N]`, from the root of the checkout; 100,000 control steps over both
tasks where nothing is said, in each of several situations: the sensor of the tip fails now and then, or freezes for
good, the workspace is narrow, the limits are low. Position and speed are checked at every step of the simulator, 10 ms,
acceleration over control steps, since commands change no faster. The environment's own walls are taken down. The limits
are those of configs/guardrails/hard.yaml, or as the title says. The last table shows that the checks can fail: the same
planners, clipped to what the environment takes, without guardrails.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import gymnasium
import mujoco
import numpy as np
from numpy.typing import NDArray

import envs  # noqa: F401
from agent.guardrails import GuardedAction, Guardrails
from agent.run.config.building import build
from agent.run.config.composing import compose_config
from benchmarks.arguments import call, read_settings
from benchmarks.tables import table
from envs.arm.mujoco_env import MujocoEnv
from envs.spec import Box, Effector, TaskSpec

TASKS = ("reach", "push")
EPISODE_LENGTH = 100
SENSOR_LOSS = 0.2
"""Share of control steps in which the tip's sensor reads NaN, where it is to fail."""

LATENCY = 4
"""Control steps after which an action takes effect, where the world is to be late."""

FREEZING_STEPS = 40
"""The tip's sensor freezes in one of so many first control steps of an episode, where it is to freeze."""

SURPRISES, SURPRISE_SHARES = (0.0, 1e9, np.nan), (0.96, 0.02, 0.02)
"""What surprise may be, and in which share of the control steps."""

LOWER = ("guardrails.max_speed=0.3", "guardrails.max_acceleration=4.0")
"""Limits under which the tip needs several steps to brake."""

NARROW = ("guardrails.workspace={low: [0.35, -0.15, 0.02], high: [0.62, 0.15, 0.25]}",)
"""A workspace inside of the task's; a tip that starts outside of it may go no farther out."""

ROOM = 0.1
"""Beyond the workspace, where the environment would let the tip go, m."""

Array = NDArray[np.float64]
Planner = Callable[[int, int], Array]
"""Control step and number of action's components to an action, of any kind."""


def nothing_finite(rng: np.random.Generator) -> Planner:
    return lambda _, dim: rng.choice([np.nan, np.inf, -np.inf], dim)


def anything(rng: np.random.Generator) -> Planner:
    return lambda _, dim: rng.choice([np.nan, np.inf, -np.inf, 1e9, -1e9, 1.0, -1.0, 0.0, 1e-9], dim)


def huge(rng: np.random.Generator) -> Planner:
    return lambda _, dim: rng.choice([1e9, -1e9], dim)


def alternating(rng: np.random.Generator) -> Planner:
    signs: Array = rng.choice([-1.0, 1.0], 3)
    return lambda step, dim: signs[:dim] * (1.0 if step % 2 else -1.0)


def jumping(rng: np.random.Generator) -> Planner:
    return lambda _, dim: rng.uniform(-1.0, 1.0, dim)


def jumping_far(rng: np.random.Generator) -> Planner:
    return lambda _, dim: rng.choice([-1.0, 0.0, 1.0], dim)


def outward(rng: np.random.Generator) -> Planner:
    """Presses on a wall, an edge or a corner, and after a while on another."""
    directions = [np.array(d) for d in np.ndindex(3, 3, 3) if d != (1, 1, 1)]
    order, hold = rng.permutation(len(directions)), int(rng.integers(3, 25))
    return lambda step, dim: 1e3 * (directions[order[step // hold % len(order)]][:dim] - 1.0)


def grazing(rng: np.random.Generator) -> Planner:
    """Runs along walls and corners at any slant, with noise."""
    angle, turn = rng.uniform(0, 2 * np.pi), rng.uniform(-0.1, 0.1)
    return lambda step, dim: (
        np.array([np.cos(angle + turn * step), np.sin(angle + turn * step), np.sin(3 * turn * step)])[:dim]
        + rng.normal(0, 0.1, dim)
    )


PLANNERS: Mapping[str, Callable[[np.random.Generator], Planner]] = {
    "NaN and infinite": nothing_finite,
    "anything": anything,
    "±1e9": huge,
    "alternating ±1": alternating,
    "random jumps": jumping,
    "jumps of -1, 0, 1": jumping_far,
    "outward": outward,
    "along walls": grazing,
}


@dataclass(frozen=True)
class Limits:
    """What is kept, or not; the names and units of configs/guardrails."""

    max_speed: float
    max_acceleration: float
    low: Array
    high: Array

    @classmethod
    def of(cls, spec: TaskSpec, values: Mapping[str, Any]) -> "Limits":
        """Reads them from the values of a yaml."""
        workspace = values["workspace"] or asdict(effector_of(spec).workspace)
        return cls(
            max_speed=values["max_speed"],
            max_acceleration=values["max_acceleration"],
            low=np.array(workspace["low"]) - values["margin"],
            high=np.array(workspace["high"]) + values["margin"],
        )

    def outside(self, points: Array) -> Array:
        """Returns how far points `[num_points, dimensions]` are outside, m; below 0 inside."""
        dimensions = points.shape[1]
        return np.maximum(self.low[:dimensions] - points, points - self.high[:dimensions]).max(axis=1)


@dataclass(frozen=True)
class Trace:
    """What happened in one episode.

    Attributes:
        actions: `[num_steps, action_dim]`, as executed.
        tips: `[num_steps + 1, 3]`, at the control steps, m.
        fine_tips: `[num_fine_steps + 1, 3]`, at the simulator's steps, m.
        num_interventions: Control steps at which something was changed.
    """

    actions: Array
    tips: Array
    fine_tips: Array
    num_interventions: int


def effector_of(spec: TaskSpec) -> Effector:
    """Returns the arm's tip."""
    assert spec.effector is not None
    return spec.effector


def without_walls(task: str) -> MujocoEnv:
    """Returns an environment that lets the tip go beyond its workspace."""
    walled: Any = gymnasium.make(f"jepa-mpc/{task.capitalize()}-v0", disable_env_checker=True).unwrapped
    workspace, action_dim = walled.workspace, walled.description.action_dim
    room = np.where(np.arange(len(workspace.low)) < action_dim, ROOM, 0.0)
    wider = Box(low=tuple(workspace.low - room), high=tuple(workspace.high + room))
    env: Any = type("WithoutWalls", (type(walled),), {"workspace": wider})()
    env.workspace = workspace  # where starts are drawn, and what the description says
    assert isinstance(env, MujocoEnv)
    return env


@contextmanager
def watched_tip(env: MujocoEnv) -> Iterator[list[Array]]:
    """Lists where the tip is at each of the simulator's steps, m."""
    tips: list[Array] = []
    site = env.model.site("tip").id
    mujoco.set_mjcb_control(lambda _, data: tips.append(data.site_xpos[site].copy()))
    try:
        yield tips
    finally:
        mujoco.set_mjcb_control(None)


def drive(
    env: MujocoEnv,
    guardrails: Guardrails | None,
    planner: Planner,
    *,
    seed: int,
    num_steps: int,
    sensor_loss: float,
    freezing: bool,
    latency: int,
) -> Trace:
    """Lets a planner act for one episode; without guardrails, what the environment refuses is clipped."""
    rng = np.random.default_rng((seed, 1))
    freezes_at = np.random.default_rng((seed, 2)).integers(FREEZING_STEPS) if freezing else num_steps
    observation, _ = env.reset(seed=seed)
    spec, tip = env.description, env.data.site("tip").xpos
    last: GuardedAction | None = None
    sent = deque([np.zeros(spec.action_dim)] * latency)
    actions, tips, num_interventions = [], [tip.copy()], 0
    with watched_tip(env) as fine_tips:
        for step in range(num_steps):
            asked = planner(step, spec.action_dim)
            if guardrails is None:
                action = np.clip(np.nan_to_num(asked), -1.0, 1.0)
            else:
                readings = dict(env.sensor_readings(observation))
                if step <= freezes_at:
                    shown = readings["tip"]
                readings["tip"] = shown
                if rng.uniform() < sensor_loss:
                    readings["tip"] = np.full(3, np.nan, np.float32)
                with np.errstate(over="ignore"):
                    asked = asked.astype(np.float32)
                surprise = float(rng.choice(SURPRISES, p=SURPRISE_SHARES))
                last = guardrails.guard(asked, last=last, readings=readings, surprise=surprise)
                num_interventions += bool(last.interventions)
                action = last.action.astype(np.float64)
            sent.append(action)
            actions.append(sent.popleft())
            observation = env.step(actions[-1])[0]
            tips.append(tip.copy())
    return Trace(np.array(actions), np.array(tips), np.array([*fine_tips, tip]), num_interventions)


def measure(trace: Trace, limits: Limits, spec: TaskSpec, fine_dt: float) -> dict[str, tuple[float, Array]]:
    """Returns checked quantity to its limit and its values; no value may be above the limit."""
    longest, dt = effector_of(spec).max_displacement, spec.control_dt
    length = np.linalg.norm(trace.actions, axis=1, keepdims=True)
    ways = longest * trace.actions / np.maximum(1.0, length)
    targets = trace.tips[:-1, : spec.action_dim] + ways
    outside_at_first = max(0.0, float(limits.outside(trace.tips[:1])[0]))
    moves = np.diff(trace.tips, axis=0)
    return {
        "told: largest component": (1.0, np.abs(trace.actions).max(axis=1)),
        "told: target outside, mm": (0.0, 1e3 * (limits.outside(targets) - outside_at_first)),
        "told: speed, m/s": (limits.max_speed, np.linalg.norm(ways, axis=1) / dt),
        "told: acceleration, m/s²": (limits.max_acceleration, _changes(ways) / dt**2),
        "done: tip outside, mm": (0.0, 1e3 * (limits.outside(trace.fine_tips) - outside_at_first)),
        "done: speed, m/s": (limits.max_speed, np.linalg.norm(np.diff(trace.fine_tips, axis=0), axis=1) / fine_dt),
        "done: acceleration, m/s²": (limits.max_acceleration, _changes(moves) / dt**2),
    }


def _changes(moves: Array) -> Array:
    """Returns by how much each move differs from the one before, at rest before the first."""
    return np.linalg.norm(np.diff(moves, axis=0, prepend=np.zeros((1, moves.shape[1]))), axis=1)


@dataclass
class Tally:
    """The worst of one checked quantity, and how often it was above its limit."""

    limit: float
    worst: float = -np.inf
    violations: int = 0

    def add(self, values: Array) -> None:
        self.worst = max(self.worst, float(values.max()))
        self.violations += int((~(values <= self.limit)).sum())


def attack(
    task: str,
    overrides: Sequence[str],
    *,
    guarded: bool,
    num_steps: int,
    sensor_loss: float,
    freezing: bool,
    latency: int,
    seed: int = 0,
) -> tuple[dict[str, Tally], float]:
    """Lets every hostile planner act in turn.

    Args:
        task: Name of a config in configs/env.
        overrides: Changes to the config, as on the command line.
        guarded: False leaves the guardrails out.
        num_steps: Control steps in all.
        sensor_loss: Share of control steps in which the tip's sensor reads NaN.
        freezing: Whether the tip's sensor freezes early in each episode, for good.
        latency: Control steps after which an action takes effect.
        seed: Of the first episode.

    Returns:
        Checked quantity to what came of it, and the share of control steps at which something was changed.
    """
    config = compose_config([f"env={task}", *overrides])
    env = without_walls(task)
    spec = env.description
    limits = Limits.of(spec, config.values.guardrails)
    guardrails = build(config.values.guardrails, spec=spec, latency=latency) if guarded else None
    tallies: dict[str, Tally] = {}
    num_changed = 0
    makers = list(PLANNERS.values())
    num_episodes = num_steps // EPISODE_LENGTH
    for episode in range(num_episodes):
        episode_seed = seed + episode
        planner = makers[episode % len(makers)](np.random.default_rng(episode_seed))
        trace = drive(
            env,
            guardrails,
            planner,
            seed=episode_seed,
            num_steps=EPISODE_LENGTH,
            sensor_loss=sensor_loss,
            freezing=freezing,
            latency=latency,
        )
        num_changed += trace.num_interventions
        for name, (limit, values) in measure(trace, limits, spec, env.model.opt.timestep).items():
            tallies.setdefault(name, Tally(limit)).add(values)
    return tallies, num_changed / (num_episodes * EPISODE_LENGTH)


def main() -> None:
    num_steps = int(read_settings({"num_steps": 100_000}).num_steps)
    for title, overrides, guarded, sensor_loss, freezing, latency in (
        ("configs/guardrails/hard.yaml", (), True, 0.0, False, 0),
        (f"the tip's sensor fails at {SENSOR_LOSS:.0%} of the steps", (), True, SENSOR_LOSS, False, 0),
        (f"the tip's sensor freezes in one of the first {FREEZING_STEPS} steps", (), True, 0.0, True, 0),
        (f"a narrow workspace, and the sensor freezes: {' '.join(NARROW)}", NARROW, True, 0.0, True, 0),
        (f"lower limits: {' '.join(LOWER)}", LOWER, True, 0.0, False, 0),
        (f"lower limits, and the sensor freezes: {' '.join(LOWER)}", LOWER, True, 0.0, True, 0),
        (f"actions take effect {LATENCY} control steps late", (), True, 0.0, False, LATENCY),
        ("without guardrails", (), False, 0.0, False, 0),
    ):
        print(f"\n{title}; {num_steps:,} control steps")
        rows = []
        for task in TASKS:
            tallies, changed = attack(
                task,
                overrides,
                guarded=guarded,
                num_steps=num_steps // len(TASKS),
                sensor_loss=sensor_loss,
                freezing=freezing,
                latency=latency,
            )
            print(f"{task}: something was changed at {changed:.0%} of the steps")
            rows += [
                [f"{task}, {name}", f"{tally.limit:g}", f"{tally.worst:.3f}", f"{tally.violations:,}"]
                for name, tally in tallies.items()
            ]
        print(table(["checked", "limit", "worst", "violations"], rows), flush=True)


if __name__ == "__main__":
    call(main)
