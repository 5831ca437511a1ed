"""An agent in its task while people watch, switch, drag and push; nothing here knows a window."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, Protocol

from agent.actor import Actor
from agent.evaluation.seeds import Entries
from agent.evaluation.view.keys import Switches, press
from envs.episodes.rollout import policy_seed
from envs.types import Frame, Task, Viewable
from jepa_mpc.errors import is_refusal

ActorMaker = Callable[[str, str], Actor]
"""Makes the agent with a planner, by its name, in a mode; all that it makes share a world model."""


class ViewableTask(Task, Viewable, Protocol):
    """A task that people can look at and reach into."""


class Session:
    """Goes on step by step, episode by episode, as people have it.

    An episode goes on until people want the next, or the task ends it.

    Args:
        task: Where the agent acts.
        make_actor: Makes it. One that refuses its planner is told, and the planner left out from then on.
        switches: What is set at first; its planner can plan in its mode.
    """

    def __init__(self, task: ViewableTask, make_actor: ActorMaker, switches: Switches) -> None:
        self._task, self._make_actor = task, make_actor
        self._actors: dict[tuple[str, str], Actor] = {}
        self.switches = switches
        self._actor = self._actor_of(switches)
        self._frame = self._begin()

    @property
    def frame(self) -> Frame:
        """The present."""
        return self._frame

    @property
    def actor(self) -> Actor:
        """Who acts now."""
        return self._actor

    @property
    def is_over(self) -> bool:
        """Whether the task has ended the episode."""
        return self._frame.verdict.terminated or self._frame.verdict.truncated

    def press(self, code: int) -> None:
        """Does what a key means.

        Args:
            code: As GLFW has it.
        """
        before, self.switches = self.switches, press(self.switches, code)
        if self.switches.episode != before.episode:
            self._frame = self._begin()
        elif (self.switches.planner, self.switches.mode) != (before.planner, before.mode):
            self._switch(before)

    def reach_in(self, scene: Any) -> None:
        """Lets what people do to the scene's data become part of the world: they push, and drag the goal."""
        self._task.feel(scene)
        told = self._task.drag(scene)
        if told is not None:
            self._frame = replace(self._frame, goal=told)
            self._actor.pursue(told)

    def step(self) -> None:
        """Lets the agent act for one control step, unless it is paused or the episode is over."""
        if self.switches.paused or self.is_over:
            return
        start = perf_counter()
        action = self._actor.act(self._frame.readings)
        state = self._actor.state
        if state.choices[-1].step == state.step - 1:
            self._latency_ms = 1e3 * (perf_counter() - start)
        self._frame = self._task.step(action)
        self._num_steps += 1

    def status(self) -> Sequence[tuple[str, str]]:
        """Returns what is on, for people: what it is and how it is."""
        switches, verdict = self.switches, self._frame.verdict
        left = ", ".join(f"{value:.3f} {unit}" for value, unit in verdict.distances.values())
        lines = [
            ("planner", switches.planner),
            ("mode", switches.mode),
            ("episode", f"{switches.episode}, {self._num_steps * self._task.spec.control_dt:.1f} s"),
            ("goal", f"{'reached' if verdict.success else 'not reached'}, {left} left"),
            *self._decision(),
        ]
        lines += [("", "paused")] * switches.paused + [("", "over: Enter begins the next episode")] * self.is_over
        return [*lines, *([("", switches.notice)] if switches.notice else [])]

    def _decision(self) -> list[tuple[str, str]]:
        """Returns what is to be told of the newest decision."""
        state = self._actor.state
        if not state.choices:
            return []
        choice, plan = state.choices[-1], "none"
        if choice.num_evaluations and state.plan is not None and math.isfinite(cost := float(state.plan.cost)):
            plan = f"{choice.num_evaluations} evaluations, cost {cost:.3g}"
        return [
            ("plan", plan),
            ("surprise", f"{choice.situation.surprise:.3g}"),
            ("decided in", f"{self._latency_ms:.0f} ms"),
        ]

    def _begin(self) -> Frame:
        """Returns the start of the episode that is set, as an evaluation has it."""
        seed = Entries("validation", self.switches.episode, 1).seeds[0]
        frame = self._task.reset(seed)
        self._actor.reset(frame.goal, seed=policy_seed(seed))
        self._num_steps, self._latency_ms = 0, 0.0
        return frame

    def _switch(self, before: Switches) -> None:
        """Lets another agent go on, or says why it cannot."""
        wanted = self.switches
        try:
            actor = self._actor_of(wanted)
            actor.reset(self._frame.goal, seed=0)
            actor.act(self._frame.readings)  # some planners refuse only then
        except ValueError as error:
            if not is_refusal(error):
                raise
            able = tuple(name for name in before.planners if name == before.planner or name != wanted.planner)
            self.switches = replace(before, planners=able, notice=f"{wanted.planner} cannot do that here: {error}")
            return
        actor.go_on(self._actor.state)
        self._actor = actor

    def _actor_of(self, switches: Switches) -> Actor:
        key = (switches.planner, switches.mode)
        if key not in self._actors:
            self._actors[key] = self._make_actor(*key)
        return self._actors[key]
