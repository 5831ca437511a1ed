"""The actor: one step of perceive, remember, configure, plan, guard, act."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Generator, Tensor

from agent.configurator import Configuration, Configurator
from agent.goal import make_goal
from agent.guardrails import GuardedAction, Guardrails
from agent.memory import Moment, ShortTermMemory
from agent.objective import ImaginedCost
from envs.spec import EnvSpec
from planners.types import ActionBounds, Plan, Planner
from world_model.types import LatentGoal, WorldModel


class ObservationError(ValueError):
    """An observation that the agent cannot perceive."""


@dataclass(frozen=True)
class ActorState:
    """All that an actor carries from step to step.

    Attributes:
        seed: Of the episode; with `step` it seeds the planner's noise.
        step: Control steps since the reset.
        goal: What is pursued.
        memory: What was perceived, done and foreseen.
        planner_state: What the planner carries on, or None before the first plan.
        plan: The newest plan, or None before the first.
        executed: `[num_executed, action_dim]`, control actions of the model step under way.
        guarded: The last executed control action and what the guardrails changed, or None at the start.
    """

    seed: int
    step: int
    goal: LatentGoal
    memory: ShortTermMemory
    planner_state: Any
    plan: Plan | None
    executed: NDArray[np.float32]
    guarded: GuardedAction | None


class Actor:
    """An agent that acts by planning in imagination (mode 2 of LeCun 2022).

    It sees the sensors that its world model names, and the goal, and nothing else. Its actions are a pure function of
    its parts, the goal, the seed and the observations.

    Args:
        world_model: Perceives and imagines.
        planner: Minimises the cost of imagined futures.
        configurator: Sets cost, horizon and budget.
        guardrails: Have the last word.
        spec: The task that the world model was trained on.
        action_repeat: Control steps of a model step; a planned action is held for so long.
        memory_capacity: Moments that short-term memory keeps, at least the context of the world model.
    """

    def __init__(
        self,
        *,
        world_model: WorldModel,
        planner: Planner[Any],
        configurator: Configurator,
        guardrails: Guardrails,
        spec: EnvSpec,
        action_repeat: int,
        memory_capacity: int,
    ) -> None:
        if memory_capacity < world_model.context_length:
            raise ValueError(
                f"memory_capacity must be at least the world model's context of {world_model.context_length}, "
                f"got {memory_capacity}"
            )
        if missing := sorted(set(spec.goal) - set(world_model.blocks)):
            raise ValueError(
                f"the world model must perceive what goals ask for, {missing}, but it has {sorted(world_model.blocks)}"
            )
        high = torch.ones(spec.action_dim)
        planner.init(ActionBounds(low=-high, high=high), batch_size=1, horizon=1)  # refuses actions that it cannot plan
        self.world_model = world_model
        self.spec = spec
        self._planner = planner
        self._configurator = configurator
        self._guardrails = guardrails
        self._action_repeat = action_repeat
        self._memory_capacity = memory_capacity
        self._state: ActorState | None = None

    @property
    def state(self) -> ActorState:
        """What the actor carries from step to step.

        Raises:
            RuntimeError: The actor was never reset.
        """
        if self._state is None:
            raise RuntimeError("the actor has no goal yet: call reset(goal, seed=...) before act(observation)")
        return self._state

    def reset(self, goal: Mapping[str, ArrayLike], *, seed: int) -> None:
        """Starts an episode.

        Args:
            goal: Sensor name to the wished reading; sensors that are not named are not asked for.
            seed: All randomness of the episode comes from it.

        Raises:
            GoalError: The goal is none that can be pursued.
        """
        with torch.no_grad():
            latent_goal = self.world_model.encode_goal(make_goal(goal, self.spec, sensors=self.world_model.blocks))
        self._state = ActorState(
            seed=seed,
            step=0,
            goal=latent_goal,
            memory=ShortTermMemory(capacity=self._memory_capacity),
            planner_state=None,
            plan=None,
            executed=np.zeros((0, self.spec.action_dim), np.float32),
            guarded=None,
        )

    def act(self, observation: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Returns the control action for what is observed now, `[action_dim]` in [-1, 1].

        Args:
            observation: Sensor name to its reading, `[*sensor_shape]`; sensors that the world model does not use are
                ignored.

        Raises:
            ObservationError: A sensor is missing, has the wrong shape or is not finite.
            RuntimeError: The actor was never reset.
        """
        state = self.state
        readings = {name: self._check(name, observation)[None, None] for name in self.world_model.blocks}
        if state.step % self._action_repeat == 0:
            with torch.no_grad():
                state = self._plan(self._perceive(state, readings))
        assert state.plan is not None
        planned = state.plan.actions[0, 0].numpy()
        guarded = self._guardrails.guard(
            planned,
            last=state.guarded,
            readings={name: reading.numpy()[0, 0] for name, reading in readings.items()},
            surprise=state.memory.moments[-1].surprise,
        )
        self._state = replace(
            state,
            step=state.step + 1,
            executed=np.vstack([state.executed, guarded.action]),
            guarded=guarded,
        )
        return guarded.action.copy()

    def _perceive(self, state: ActorState, readings: Mapping[str, Tensor]) -> ActorState:
        """Embeds what is observed, compares it with what was foreseen, and remembers."""
        embedding = self.world_model.encode(readings)[0, 0]
        if state.memory.moments:
            previous_action = torch.from_numpy(state.executed.reshape(-1))
            foreseen = self.world_model.rollout(
                state.memory.context(self.world_model.context_length), previous_action[None, None, None]
            ).embeddings[0, 0, 0]
            surprise = float((embedding - foreseen).square().mean())
        else:
            previous_action = torch.zeros(self.spec.action_dim * self._action_repeat)
            surprise = 0.0
        moment = Moment(embedding=embedding, previous_action=previous_action, surprise=surprise)
        return replace(state, memory=state.memory.record(moment), executed=state.executed[:0])

    def _plan(self, state: ActorState) -> ActorState:
        """Minimises the cost of the imagined futures, starting from where the last plan was left."""
        configuration = self._configurator.configure(state.memory)
        objective = ImaginedCost(
            imagine=self.world_model.rollout,
            cost=configuration.cost,
            context=state.memory.context(self.world_model.context_length),
            goal=state.goal,
            action_repeat=self._action_repeat,
        )
        bounds = self._guardrails.bounds(state.guarded)
        noise = self._planner.sample_noise(
            [_generator(state.seed, state.step)], bounds=bounds, horizon=configuration.horizon
        )
        plan, planner_state = self._planner.plan(
            objective,
            self._warm_start(state, configuration, bounds),
            noise=noise,
            bounds=bounds,
            budget=configuration.budget,
        )
        return replace(state, plan=plan, planner_state=planner_state)

    def _warm_start(self, state: ActorState, configuration: Configuration, bounds: ActionBounds) -> Any:
        if state.planner_state is None:
            return self._planner.init(bounds, batch_size=1, horizon=configuration.horizon)
        return self._planner.resize(self._planner.shift(state.planner_state, 1), configuration.horizon)

    def _check(self, name: str, observation: Mapping[str, NDArray[np.float32]]) -> Tensor:
        if name not in observation:
            raise ObservationError(f"the observation lacks the sensor '{name}'; it has {sorted(observation)}")
        reading = np.asarray(observation[name], dtype=np.float32)
        if reading.shape != tuple(self.spec.sensors[name]):
            raise ObservationError(
                f"the sensor '{name}' must have shape {self.spec.sensors[name]}, got {reading.shape}"
            )
        if not np.isfinite(reading).all():
            raise ObservationError(f"the sensor '{name}' must be finite, got {reading.tolist()}")
        return torch.from_numpy(reading)


def _generator(seed: int, step: int) -> Generator:
    """Returns a generator for one step of one episode, so that no generator is carried from step to step."""
    return Generator().manual_seed(
        int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> np.uint64(1))
    )
