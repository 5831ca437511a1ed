"""Films of episodes, for human eyes: the goal is marked in them, and no agent ever sees them.

Beside an agent that sees by a camera they show what goes on in it; see `AgentView`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.actor import Actor
from agent.configurator.types import Choice
from agent.evaluation.episodes import WatchedPolicy
from agent.evaluation.evaluate import PolicyMaker
from agent.evaluation.pictures.agent_view import AgentView
from agent.evaluation.pictures.files import write_film
from agent.evaluation.scenarios.types import Scenario, ScenarioMaker
from agent.evaluation.scenarios.undisturbed import Undisturbed
from envs.episodes.episode import Episode
from envs.episodes.rollout import rollout
from envs.rendering import NothingRenders
from envs.types import HasCameras, Policy, Task, TaskFactory
from envs.vision import Vision
from world_model.interpreter import Interpreter

FRAME_SIZE = 320
"""Width and height of a film, pixels."""


class FilmedPolicy:
    """A policy that is filmed while it acts.

    Args:
        policy: Who acts.
        task: Where.
        view: Adds to each frame what goes on in the agent; None for what people see alone.

    Attributes:
        frames: One a control step, `[height, width, 3]`.
    """

    def __init__(self, policy: Policy, task: HasCameras, *, view: AgentView | None) -> None:
        self._policy = policy
        self._task = task
        self._view = view
        self.frames: list[NDArray[np.uint8]] = []

    def reset(self, goal: Mapping[str, NDArray[Any]], *, seed: int) -> None:
        """Starts an episode."""
        self._policy.reset(goal, seed=seed)
        if self._view is not None:
            self._view.begin(goal)

    def act(self, observation: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Takes a picture and returns the policy's action."""
        frame = self._task.picture()
        action = self._policy.act(observation)
        self.frames.append(frame if self._view is None else self._view.compose(frame, observation))
        return action


@dataclass(frozen=True)
class Film:
    """A filmed episode.

    Attributes:
        episode: What happened.
        frames: One a control step, `[height, width, 3]`; of an episode that is over as it begins, how it began.
        choices: What was decided at each control step, or None where nothing was.
        interventions: What the guardrails changed at each control step.
    """

    episode: Episode
    frames: Sequence[NDArray[np.uint8]]
    choices: Sequence[Choice | None]
    interventions: Sequence[Sequence[str]]


class Camera:
    """Films an agent in its task.

    Args:
        task: Where it acts, with pictures for people.
        policy: Who acts.
        scenario: What happens beside its own doing.
        load_interpreter: Loads what reads an actor's imagination, if anything does.

    Raises:
        NothingRenders: The task cannot be drawn.
    """

    def __init__(
        self,
        task: Task,
        policy: Policy,
        scenario: Scenario,
        *,
        load_interpreter: Callable[[Actor], Interpreter | None] = lambda _: None,
    ) -> None:
        if not isinstance(task, HasCameras):
            raise NothingRenders(f"{task.spec.task_id} cannot be drawn for people")
        self._task, self._pictures, self._policy, self._scenario = task, task, policy, scenario
        self._view = None
        if isinstance(policy, Actor) and any(policy.spec.sensors[name].is_image for name in policy.world_model.blocks):
            self._view = AgentView(policy, task, interpreter=load_interpreter(policy))

    def film(self, seed: int) -> Film:
        """Returns the episode of that seed.

        Raises:
            NothingRenders: Nothing renders on this machine; the message names the fix.
        """
        staged_task, staged_policy = self._scenario.stage(self._task, self._policy, seed=seed)
        watched = WatchedPolicy(staged_policy, actor=self._policy if isinstance(self._policy, Actor) else None)
        filmed = FilmedPolicy(watched, self._pictures, view=self._view)
        episode = rollout(staged_task, filmed, seed=seed, num_steps=self._scenario.num_steps)
        frames = filmed.frames or [self._pictures.picture()]
        return Film(episode, frames, watched.choices, watched.interventions)


def film_path(folder: Path, agent: str, seed: int, video_format: str) -> Path:
    """Returns where the film of an episode lies."""
    return folder / f"{agent}_{seed}.{video_format}"


def film_episodes(
    seeds: Sequence[int],
    *,
    agent: str,
    make_task: TaskFactory,
    vision: Vision | None = None,
    load_interpreter: Callable[[Actor], Interpreter | None] = lambda _: None,
    make_policy: PolicyMaker,
    make_scenario: ScenarioMaker = Undisturbed,
    folder: Path,
    video_format: str,
) -> list[Path]:
    """Writes a film of each episode, in real time, and beside it the picture of what an actor chose, if anything.

    Args:
        seeds: Of the episodes.
        agent: Who acts.
        make_task: Makes the task in which it acts.
        vision: The agent's cameras.
        load_interpreter: Loads what reads an actor's imagination, if anything does.
        make_policy: Makes the agent.
        make_scenario: Makes what happens beside its own doing.
        folder: Of the films.
        video_format: One of `FILM_FORMATS`.

    Raises:
        NothingRenders: Nothing renders on this machine, or the task cannot be drawn; the message names the fix.
        OSError: A film cannot be written.
    """
    from agent.evaluation.timeline import write_timeline

    task = make_task(vision=vision, film_size=FRAME_SIZE)
    paths = []
    try:
        policy, scenario = make_policy(agent, task), make_scenario(task.spec)
        camera = Camera(task, policy, scenario, load_interpreter=load_interpreter)
        folder.mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            film = camera.film(seed)
            path = film_path(folder, agent, seed, video_format)
            paths.append(write_film(film.frames, path, frame_dt=task.spec.control_dt))
            if choices := [choice for choice in film.choices if choice is not None]:
                write_timeline(
                    choices,
                    path.with_suffix(".png"),
                    interventions=film.interventions,
                    control_dt=task.spec.control_dt,
                    num_steps=len(film.episode.actions),
                )
    finally:
        task.close()
    return paths
