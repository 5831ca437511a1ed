"""The actor: one step of perceive, remember, look ahead, pursue, configure, plan or react, guard, act."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from agent.actions import free_bounds, still_action
from agent.actor_state import ActorState
from agent.assessment import assess
from agent.configurator.types import HYBRID, PLANNING, REACTIVE, STILL, Choice, Configuration, Configurator
from agent.cost.types import Critic
from agent.goal import GoalReadings, goal_distance, make_goals
from agent.guardrails import Guardrails
from agent.host import own_settings
from agent.latency import Timing
from agent.memory import Moment, ShortTermMemory
from agent.objective import ImaginedCost
from agent.perception import Perception, Readings
from agent.policy import ReactivePolicy
from agent.proposal import imagine_policy
from agent.pursuit import Pursuit
from envs.spec import TaskSpec
from jepa_mpc.ranges import check_count
from planners.types import Plan, Planner
from world_model.types import LatentContext, LatentGoal, WorldModel

_FUTURES = 1
"""Of the generator of futures, behind seed and step, so that a planner's noise is the same with and without them."""


class Actor:
    """An agent that acts by reacting (mode 1 of LeCun 2022), by planning in imagination (mode 2), or by both.

    It sees the sensors that its world model names, and the goal; its guardrails see those that they name, as where an
    effector is, and none of them anything else. Its actions are a pure function of its parts, the goal, the seed and
    the observations.

    Args:
        world_model: Perceives and imagines.
        planner: Minimises the cost of imagined futures.
        configurator: Sets mode, cost, horizon and budget, and says what to attend to.
        guardrails: Have the last word.
        policy: Mode 1, or None where the configurator does without.
        critic: Says how far the goal is, or None where the configurator does without.
        spec: The task that the world model was trained on.
        action_repeat: Control steps of a model step; an action is held for so long.
        latency: Control steps from an action to its effect, 0 where the world is not late; the guardrails' too.
        memory_capacity: Moments that short-term memory keeps; of choices, the newest as many are kept.

    Raises:
        ValueError: The parts do not fit together.
    """

    def __init__(
        self,
        *,
        world_model: WorldModel,
        planner: Planner[Any],
        configurator: Configurator,
        guardrails: Guardrails,
        policy: ReactivePolicy | None,
        critic: Critic | None,
        spec: TaskSpec,
        action_repeat: int,
        latency: int,
        memory_capacity: int,
    ) -> None:
        check_count("memory_capacity", memory_capacity, least=1)
        if guardrails.latency != latency:
            raise ValueError(f"the guardrails must know of the same latency, {latency}, got {guardrails.latency}")
        self.timing = Timing(action_repeat=action_repeat, latency=latency)
        least_horizon = min(it.horizon for it in configurator.configurations)
        if self.timing.lead > least_horizon:
            raise ValueError(
                f"latency must be at most the {least_horizon * action_repeat} control steps of a horizon of "
                f"{least_horizon} model steps, which is how far the agent imagines, got {latency}: let it imagine "
                "farther, by configurator.horizon"
            )
        if missing := sorted(set(spec.asked) - set(world_model.blocks)):
            raise ValueError(
                f"the world model must perceive what goals ask for, {missing}, but it has {sorted(world_model.blocks)}"
            )
        others = [f"{it.mode} (rule '{it.rule}')" for it in configurator.configurations if it.mode != PLANNING]
        if policy is None and others:
            raise ValueError(
                f"without a policy the mode must be {PLANNING}, got {', '.join(others)}: choose actor.mode={PLANNING} "
                "and rules of no other mode, or train a policy, as with policy=mlp"
            )
        if critic is None and configurator.needs_critic:
            raise ValueError(
                "without a critic no rule may ask for cost_to_go or doubt, and one does: choose other rules, or train "
                "a critic, as with critic=[cost_to_go]"
            )
        with own_settings():  # refuses actions that it cannot plan
            planner.init(guardrails.bounds(None), batch_size=1, horizon=1)
        self.world_model = world_model
        self.configurator = configurator
        self.spec = spec
        self._perception = Perception(
            world_model=world_model,
            spec=spec,
            attentions=[it.attention for it in configurator.configurations],
            also=guardrails.sensors,
        )
        self._planner = planner
        self._guardrails = guardrails
        self._free, self._idle = free_bounds(spec.actions), spec.actions.idle_action
        self._policy = policy
        self._critic = critic
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

    def reset(self, goal: GoalReadings | Sequence[GoalReadings], *, seed: int) -> None:
        """Starts an episode.

        Args:
            goal: Sensor name to the wished reading, where sensors that are not named are not asked for; or a list of
                such goals, to be reached one after the other.
            seed: At least 0; all randomness of the episode comes from it.

        Raises:
            GoalError: A goal is none that can be pursued.
            ValueError: The seed is no whole number of at least 0.
        """
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ValueError(f"seed must be a whole number of at least 0, got {seed!r}")
        still = still_action(self.spec.actions, None).astype(np.float32)
        self._state = ActorState(
            seed=int(seed),
            step=0,
            goals=self._latent_goals(goal),
            pursuit=Pursuit(),
            percept=None,
            context=None,
            foreseen=None,
            memory=ShortTermMemory(capacity=self._memory_capacity),
            planner_state=None,
            plan=None,
            command=still,
            sent=np.tile(still, (self.timing.num_sent, 1)),
            guarded=None,
            attention=None,
            choices=(),
        )

    def pursue(self, goal: GoalReadings | Sequence[GoalReadings]) -> None:
        """Pursues another goal from the next model step on; what was perceived in the episode stays.

        Args:
            goal: As `reset` takes it.

        Raises:
            GoalError: A goal is none that can be pursued; the old one stays.
            RuntimeError: The actor was never reset.
        """
        self._state = replace(self.state, goals=self._latent_goals(goal), pursuit=Pursuit(), planner_state=None)

    def go_on(self, state: ActorState) -> None:
        """Goes on with the episode of another actor that has the same world model; its planner starts anew.

        Args:
            state: Of the other actor.

        Raises:
            ValueError: The other actor takes its world to be late by more or less.
        """
        if len(state.sent) != self.timing.num_sent:
            raise ValueError(
                f"an episode must go on with a latency of {self.timing.latency} control steps, got a state of "
                f"{len(state.sent) - self.timing.action_repeat}"
            )
        self._state = replace(state, planner_state=None)

    def act(self, observation: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Returns the control action for what is observed now, `[action_dim]` in the robot's units, or one-hot.

        Args:
            observation: Sensor name to its reading, `[*sensor_shape]`; sensors that neither the world model nor the
                guardrails use are ignored. After the first step of an episode, one that is absent, None or not finite
                is missing: the world model fills it in.

        Raises:
            ObservationError: There are no readings, or one is no numbers of its sensor's shape or, at the first step,
                is missing.
            RuntimeError: The actor was never reset.
        """
        with own_settings():
            return self._act(self.state, observation)

    def _latent_goals(self, goal: GoalReadings | Sequence[GoalReadings]) -> tuple[LatentGoal, ...]:
        with own_settings():
            goals = make_goals(goal, self.spec, sensors=self.world_model.blocks)
            return tuple(self.world_model.encode_goal(it) for it in goals)

    def _act(self, state: ActorState, observation: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        readings = self._perception.sound_readings(observation, first=state.step == 0)
        if self.timing.perceives(state.step):
            state = self._perceive(state, readings)
        if self.timing.decides(state.step):
            state = self._decide(self._look_ahead(state))
        assert state.percept is not None
        guarded = self._guardrails.guard(
            state.command,
            last=state.guarded,
            readings=readings,
            surprise=state.percept.surprise,
        )
        self._state = replace(
            state,
            step=state.step + 1,
            sent=np.vstack([state.sent[1:], guarded.action]),
            guarded=guarded,
        )
        return guarded.action.copy()

    def _perceive(self, state: ActorState, readings: Readings) -> ActorState:
        """Embeds what is observed, compares it with what was foreseen, and remembers."""
        if state.percept is None or state.attention is None or state.context is None:
            previous_action = torch.from_numpy(state.command).repeat(self.timing.action_repeat)  # which is still
            percept = self._perception.begin(readings)
            context = LatentContext.at_rest(
                percept.embedding[None], context_length=self.world_model.least_context, still=previous_action
            )
        else:
            done = self.timing.taken_effect(state.sent)
            previous_action = torch.from_numpy(done.reshape(-1))
            foreseen = self.world_model.rollout(state.context, previous_action[None, None, None]).embeddings[0, 0, 0]
            percept = self._perception.perceive(
                readings,
                attention=state.attention,
                last=state.percept,
                foreseen=foreseen,
                explain=partial(self.world_model.explain, state.context, previous_action[None])
                if self.world_model.latent_dim
                else None,
                told=self._idle is None or bool((done != self._idle).any()),
            )
            context = self.world_model.follow(state.context, previous_action[None], percept.embedding[None])
        moment = Moment(
            time=self.timing.model_step(state.step),
            embedding=percept.embedding,
            previous_action=previous_action,
            goal=state.goal,
            intrinsic_cost=float(goal_distance(percept.embedding[None], state.goal)),
            surprise=percept.surprise,
            block_surprises=percept.block_surprises,
        )
        return replace(
            state,
            memory=state.memory.record(moment),
            percept=percept,
            context=context,
        )

    def _look_ahead(self, state: ActorState) -> ActorState:
        """Foresees where the actions under way lead: there a decision takes effect."""
        context = state.context
        assert context is not None
        for action in torch.from_numpy(self.timing.under_way(state.sent)):
            foreseen = self.world_model.rollout(context, action[None, None, None]).embeddings[:, 0, 0]
            context = self.world_model.follow(context, action[None], foreseen)
        return replace(state, foreseen=context)

    def _decide(self, state: ActorState) -> ActorState:
        """Sets what is pursued, how, what is held for the next model step, and what is looked at after it."""
        percept = state.percept
        assert percept is not None
        pursuit, situation = assess(
            percept,
            state.pursuit,
            distance=float(goal_distance(percept.embedding[None], state.goal)),
            goals=state.goals,
            blocks=self.world_model.blocks,
            sub_goals=self.configurator.sub_goals,
            critic=self._critic,
        )
        planner_state = state.planner_state
        if pursuit.goal_index != state.pursuit.goal_index:
            planner_state = None  # what was planned for another goal is no good start
        elif planner_state is not None:
            planner_state = self._planner.shift(planner_state, 1)
        state = replace(state, pursuit=pursuit, planner_state=planner_state)

        configuration = self.configurator.configure(situation)
        mode, num_evaluations = STILL if pursuit.ended else configuration.mode, 0
        if mode == STILL:
            state = replace(
                state, command=still_action(self.spec.actions, state.command.astype(np.float64)).astype(np.float32)
            )
        elif mode == REACTIVE:
            state = replace(state, command=self._react(state))
        else:
            plan, planner_state = self._plan(state, configuration)
            num_evaluations = plan.num_evaluations
            state = replace(state, plan=plan, planner_state=planner_state, command=plan.actions[0, 0].numpy())
        choice = Choice(
            step=state.step,
            rule=configuration.rule,
            mode=mode,
            horizon=configuration.horizon,
            num_evaluations=num_evaluations,
            event=pursuit.event,
            reason=pursuit.reason,
            situation=situation,
        )
        return replace(
            state, attention=configuration.attention, choices=(*state.choices, choice)[-self._memory_capacity :]
        )

    def _react(self, state: ActorState) -> NDArray[np.float32]:
        """Answers by the policy, without imagining what comes of it."""
        assert self._policy is not None
        assert state.foreseen is not None
        actions = self._policy(state.foreseen.embeddings[:, -1], state.goal)
        return self._free.clip(actions[:, None])[0, 0].numpy()

    def _plan(self, state: ActorState, configuration: Configuration) -> tuple[Plan, Any]:
        """Minimises the cost of the imagined futures, starting from where the last plan was left."""
        context = state.foreseen
        assert context is not None
        objective = ImaginedCost(
            world_model=self.world_model,
            cost=configuration.cost,
            context=context,
            goal=state.goal,
            action_repeat=self.timing.action_repeat,
            futures=configuration.futures.draw(
                [_generator(state.seed, state.step, _FUTURES)],
                horizon=configuration.horizon,
                latent_dim=self.world_model.latent_dim,
            ),
        )
        horizon, bounds = configuration.horizon, self._guardrails.bounds(state.guarded)
        proposals: tuple[Tensor, ...] = ()
        if configuration.mode == HYBRID:
            assert self._policy is not None
            proposal, _ = imagine_policy(
                self._policy,
                self.world_model,
                context,
                state.goal,
                bounds=bounds,
                horizon=horizon,
                action_repeat=self.timing.action_repeat,
            )
            proposals = (proposal,)
        if state.planner_state is None:
            start = self._planner.init(bounds, batch_size=1, horizon=horizon)
        else:
            start = self._planner.resize(state.planner_state, horizon)
        noise = self._planner.sample_noise([_generator(state.seed, state.step)], bounds=bounds, horizon=horizon)
        return self._planner.plan(
            objective, start, noise=noise, bounds=bounds, budget=configuration.budget, proposals=proposals
        )


def _generator(*key: int) -> Generator:
    """Returns a generator for one step of one episode, so that no generator is carried from step to step."""
    return Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1)))
