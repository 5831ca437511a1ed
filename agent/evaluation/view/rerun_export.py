"""An episode with what went on in the agent, as a recording for Rerun (https://rerun.io)."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.actor import Actor
from agent.configurator.types import Choice
from agent.evaluation.imagination import planned_future
from agent.evaluation.scenarios.types import Scenario
from envs.episodes.episode import Episode
from envs.episodes.rollout import rollout
from envs.rendering import NothingRenders
from envs.spec import TaskSpec
from envs.types import HasCameras, Policy, Readings, Task
from jepa_mpc.errors import UserError
from jepa_mpc.files import write_whole

TIMELINE = "time"
"""Name of the axis, in seconds from the start of the episode."""


@dataclass(frozen=True)
class Decision:
    """What went on in an agent at a model step.

    Attributes:
        choice: What it decided.
        embedding: `[embed_dim]`, what it perceived.
        plan_cost: What its plan costs, or None where it made none.
        plan_actions: `[horizon, action_dim]`, or None.
        imagined: `[1 + horizon, embed_dim]`, where the plan leads, where it begins first, or None.
    """

    choice: Choice
    embedding: NDArray[np.float32]
    plan_cost: float | None
    plan_actions: NDArray[np.float32] | None
    imagined: NDArray[np.float32] | None


@dataclass(frozen=True)
class Trace:
    """An episode and what went on in the agent.

    Attributes:
        episode: What happened.
        goal: What the agent was told at the start.
        decisions: At each control step; None where it held on to the decision before.
        interventions: What the guardrails changed at each control step.
        pictures: For people, one a control step; none where nothing renders.
    """

    episode: Episode
    goal: Readings
    decisions: Sequence[Decision | None]
    interventions: Sequence[Sequence[str]]
    pictures: Sequence[NDArray[np.uint8]]


def trace_episode(task: Task, actor: Actor, scenario: Scenario, *, seed: int) -> Trace:
    """Returns the episode of that seed, as an evaluation has it, and what goes on in the agent meanwhile."""
    staged_task, staged_policy = scenario.stage(task, actor, seed=seed)
    traced = _TracedPolicy(staged_policy, actor, task if isinstance(task, HasCameras) else None)
    episode = rollout(staged_task, traced, seed=seed, num_steps=scenario.num_steps)
    return Trace(episode, traced.goal, traced.decisions, traced.interventions, traced.pictures)


def load_rerun() -> Any:
    """Returns the package that writes recordings.

    Raises:
        UserError: It is missing.
    """
    try:
        return import_module("rerun")
    except ImportError:
        raise UserError(
            "a recording for Rerun needs the extra 'rerun', which brings rerun-sdk: `pip install 'jepa-mpc[rerun]'`"
        ) from None


def write_recording(trace: Trace, path: Path, *, spec: TaskSpec) -> Path:
    """Writes a recording, whole or not at all.

    It holds, over the time in seconds: `picture`, `readings/SENSOR`, `goal/SENSOR`, `distance/NAME`, `success`,
    `action`, and where something was decided `agent/...`: mode, surprise, evaluations, embedding, distance to the goal
    in embedding space, the plan's cost and actions, and the embeddings that it imagines.

    Raises:
        OSError: It cannot be written.
        UserError: A package is missing.
    """
    rerun = load_rerun()
    recording = rerun.RecordingStream("jepa-mpc", recording_id=f"{spec.task_id}, seed {trace.episode.seed}")
    stream = recording.binary_stream()
    for step in range(len(trace.episode.verdicts)):
        recording.set_time(TIMELINE, duration=step * spec.control_dt)
        _log_world(rerun, recording, trace, step)
        if step < len(trace.decisions):
            _log_agent(rerun, recording, trace, step)
    write_whole(path, stream.read())
    return path


def _log_world(rerun: Any, recording: Any, trace: Trace, step: int) -> None:
    episode, verdict = trace.episode, trace.episode.verdicts[step]
    for name, readings in episode.observations.items():
        _log_reading(rerun, recording, f"readings/{name}", readings[step])
    for name, wished in trace.goal.items():
        _log_reading(rerun, recording, f"goal/{name}", wished)
    for name, (value, _) in verdict.distances.items():
        recording.log(f"distance/{name}", rerun.Scalars([value]))
    recording.log("success", rerun.Scalars([float(verdict.success)]))
    if step < len(episode.actions):
        recording.log("action", rerun.Scalars(episode.actions[step]))
    if step < len(trace.pictures):
        recording.log("picture", rerun.Image(trace.pictures[step]))


def _log_reading(rerun: Any, recording: Any, place: str, reading: NDArray[Any]) -> None:
    recording.log(place, rerun.Image(reading) if reading.dtype == np.uint8 else rerun.Scalars(reading.ravel()))


def _log_agent(rerun: Any, recording: Any, trace: Trace, step: int) -> None:
    if trace.interventions[step]:
        recording.log("agent/guardrails", rerun.TextLog(", ".join(trace.interventions[step])))
    decision = trace.decisions[step]
    if decision is None:
        return
    choice = decision.choice
    numbers = {
        "surprise": choice.situation.surprise,
        "goal_distance": choice.situation.goal_distance,
        "evaluations": choice.num_evaluations,
        "plan/cost": decision.plan_cost,
    }
    recording.log("agent/mode", rerun.TextLog(choice.mode))
    for name, number in numbers.items():
        if number is not None:
            recording.log(f"agent/{name}", rerun.Scalars([number]))
    recording.log("agent/embedding", rerun.BarChart(decision.embedding))
    if decision.plan_actions is not None:
        tensor = rerun.Tensor(decision.plan_actions, dim_names=("step", "action"))
        recording.log("agent/plan/actions", tensor)
    if decision.imagined is not None:
        recording.log("agent/plan/imagined", rerun.Tensor(decision.imagined, dim_names=("step", "embedding")))


class _TracedPolicy:
    """A policy that is looked into while it acts."""

    def __init__(self, policy: Policy, actor: Actor, pictures: HasCameras | None) -> None:
        self._policy, self._actor, self._camera = policy, actor, pictures
        self.goal: Readings = {}
        self.decisions: list[Decision | None] = []
        self.interventions: list[tuple[str, ...]] = []
        self.pictures: list[NDArray[np.uint8]] = []

    def reset(self, goal: Readings, *, seed: int) -> None:
        self.goal = goal
        self._policy.reset(goal, seed=seed)

    def act(self, observation: Readings) -> NDArray[Any]:
        self._take_picture()
        action = self._policy.act(observation)
        state = self._actor.state
        self.decisions.append(_decision(self._actor) if state.choices[-1].step == len(self.decisions) else None)
        self.interventions.append(() if state.guarded is None else state.guarded.interventions)
        return action

    def _take_picture(self) -> None:
        if self._camera is None:
            return
        try:
            self.pictures.append(self._camera.picture())
        except NothingRenders as error:
            print(f"no pictures: {error}")
            self._camera = None


def _decision(actor: Actor) -> Decision:
    state = actor.state
    assert state.percept is not None
    choice, future = state.choices[-1], planned_future(actor)
    plan = state.plan if choice.num_evaluations else None
    return Decision(
        choice=choice,
        embedding=state.percept.embedding.numpy(),
        plan_cost=None if plan is None else float(plan.cost),
        plan_actions=None if plan is None else plan.actions[0].numpy(),
        imagined=None if future is None else future.numpy(),
    )
