"""A world whose dynamics are known: the embedding is the position, and the action moves it."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from agent.actor import Actor
from agent.configurator.rules import RuleConfigurator
from agent.cost.intrinsic import ControlEffort, GoalDistance
from agent.futures import Futures
from agent.guardrails.hard import hard
from agent.learning.experience import Experience
from agent.learning.hindsight import Hindsight
from agent.learning.settings import LearningSettings
from agent.perception import Attention
from agent.pursuit import SubGoals
from envs.spec import Box, BoxActions, Effector, Sensor, TaskSpec
from planners.cem import CEM
from world_model.training.checkpoint import Metadata
from world_model.types import Goal, LatentContext, LatentGoal, LatentTrajectory, Observation

STEP = 0.1
ATTENTION = {"switched_off": [], "driven": ["position"], "frozen_after": 3, "frozen_motion": 0.01}
ONE_FUTURE = Futures(num_futures=1, count="mean", share=0.25)
SUB_GOALS = {"reached_distance": 0.03, "patience": None, "min_progress": 0.01, "when_stuck": "continue"}


class IntegratorModel:
    """A perfect world model of a point that moves by a tenth of the sum of its control actions."""

    embed_dim = 5
    least_context = 1
    latent_dim = 0
    blocks: Mapping[str, slice] = {"position": slice(0, 3), "clock": slice(3, 5)}

    def encode(self, observation: Observation) -> Tensor:
        return torch.cat([observation["position"], observation["clock"]], dim=2)

    def encode_goal(self, goal: Goal) -> LatentGoal:
        embedding, mask = torch.zeros(1, 5, dtype=torch.float32), torch.zeros(1, 5, dtype=torch.bool)
        for name, value in goal.observation.items():
            embedding[:, self.blocks[name]] = value
            mask[:, self.blocks[name]] = goal.asked[name][:, None]
        return LatentGoal(embedding=embedding, mask=mask)

    def follow(self, context: LatentContext, action: Tensor, embedding: Tensor) -> LatentContext:
        length = context.embeddings.shape[1]
        return LatentContext(
            embeddings=torch.cat([context.embeddings, embedding[:, None]], dim=1)[:, -length:],
            actions=torch.cat([context.actions, action[:, None]], dim=1)[:, 1:],
            previous_action=action,
        )

    def rollout(self, context: LatentContext, actions: Tensor) -> LatentTrajectory:
        moves = STEP * actions.unflatten(3, (-1, 3)).sum(dim=3).cumsum(dim=2)
        still = moves.new_zeros(*moves.shape[:3], 2)
        return LatentTrajectory(
            embeddings=context.embeddings[:, -1, None, None] + torch.cat([moves, still], dim=3),
            actions=actions,
            previous_action=context.previous_action,
            start=context.embeddings[:, -1],
        )


@pytest.fixture
def spec() -> TaskSpec:
    return TaskSpec(
        task_id="test/Point-v0",
        fingerprint="0" * 64,
        sensors={"position": Sensor((3,), "numbers", ""), "clock": Sensor((2,), "numbers", "")},
        perceived=("position", "clock"),
        goal={"position": Box(low=(-1.0, -1.0, -1.0), high=(1.0, 1.0, 1.0))},
        asked=("position",),
        actions=BoxActions.unit(3),
        control_dt=0.05,
        num_steps=20,
        effector=Effector(
            sensor="position", workspace=Box(low=(-1.0, -1.0, -1.0), high=(1.0, 1.0, 1.0)), max_displacement=STEP
        ),
    )


@pytest.fixture
def integrator() -> IntegratorModel:
    return IntegratorModel()


class StraightPolicy:
    """Goes straight at the goal: as far as it takes in one model step of one control step, or as fast as it can."""

    def __call__(self, embeddings: Tensor, goal: LatentGoal) -> Tensor:
        return ((goal.embedding - embeddings)[:, :3] / STEP).clamp(-1.0, 1.0)


class StraightCritic:
    """Knows the steps that the straight policy takes: an ensemble of two that differ by a given doubt."""

    def __init__(self, doubt: float = 0.0) -> None:
        self.doubt = doubt

    def __call__(self, embeddings: Tensor, goal: LatentGoal) -> Tensor:
        steps = ((goal.embedding[:, None] - embeddings) * goal.mask[:, None]).abs().amax(dim=2) / STEP
        return torch.stack([steps - self.doubt, steps + self.doubt])


@pytest.fixture
def policy() -> StraightPolicy:
    return StraightPolicy()


@pytest.fixture
def critic() -> StraightCritic:
    return StraightCritic()


@pytest.fixture
def make_configurator():
    """Returns a configurator that plans three steps ahead; with rules where some are given."""

    def make(*, rules=None, attention=None, sub_goals=None, **changes):
        arguments = {
            "terms": {"goal_distance": GoalDistance(last_step_weight=1.0), "control_effort": ControlEffort()},
            "weights": {"goal_distance": 1.0, "control_effort": 0.0},
            "limits": {},
            "mode": "planning",
            "horizon": 3,
            "num_evaluations": None,
            "milliseconds": None,
            "chunk_size": None,
            "attention": Attention(**ATTENTION | (attention or {})),
            "futures": ONE_FUTURE,
            "sub_goals": SubGoals(
                **{
                    "reached_distance": 0.03,
                    "patience": None,
                    "min_progress": 0.01,
                    "when_stuck": "continue",
                    **(sub_goals or {}),
                }
            ),
            **changes,
        }
        return RuleConfigurator(
            **arguments, rules=[{"name": "always", "when": {}, "then": {}}] if rules is None else rules
        )

    return make


@pytest.fixture
def make_actor(spec, integrator, make_configurator):
    """Returns an actor in the integrator's world; what is not one of its parts is the configurator's."""

    def make(
        *,
        spec=spec,
        actor=Actor,
        world_model=integrator,
        planner=CEM,
        policy=None,
        critic=None,
        action_repeat=1,
        latency=0,
        max_acceleration=math.inf,
        workspace=9.0,
        tip_sensor=None,
        tip_frozen_after=None,
        memory_capacity=30,
        **configurator,
    ):
        return actor(
            world_model=world_model,
            planner=planner(
                num_samples=64,
                num_iterations=4,
                num_elites=8,
                init_std=0.7,
                warm_std=0.2,
                min_std=0.02,
                momentum=0.0,
                noise_exponent=0.0,
                num_knots=None,
                return_mean=False,
            ),
            configurator=make_configurator(**configurator),
            guardrails=hard(
                spec=spec if tip_sensor is None else replace(spec, effector=replace(spec.effector, sensor=tip_sensor)),
                latency=latency,
                limits=None,
                max_rate=None,
                max_speed=math.inf,
                speed_error=0.0,
                max_acceleration=max_acceleration,
                acceleration_error=0.0,
                workspace=None if workspace is None else {"low": [-workspace] * 3, "high": [workspace] * 3},
                margin=0.0,
                position_error=0.0,
                late_error=0.0,
                frozen_after=tip_frozen_after,
                probe=0.001,
                max_surprise=None,
            ),
            policy=policy,
            critic=critic,
            spec=spec,
            action_repeat=action_repeat,
            latency=latency,
            memory_capacity=memory_capacity,
        )

    return make


@pytest.fixture(scope="session")
def remember():
    """Returns episodes whose embeddings are known, each `[num_steps + 1, embed_dim]`, as what is learned from."""

    def make(episodes, *, actions=None, blocks=None, action_repeat=1):
        embeddings = [torch.as_tensor(episode, dtype=torch.float32) for episode in episodes]
        if actions is None:
            actions = [torch.zeros(len(episode) - 1, 1) for episode in embeddings]
        return Experience(
            embeddings=torch.cat(embeddings),
            actions=torch.cat([torch.as_tensor(done, dtype=torch.float32) for done in actions]),
            lengths=torch.tensor([len(episode) - 1 for episode in embeddings]),
            goal_parts=blocks or {"position": slice(0, embeddings[0].shape[1])},
            action_repeat=action_repeat,
        )

    return make


@pytest.fixture(scope="session")
def learning_settings():
    """Settings of a training in embedding space that takes a moment, of what a test changes in them."""

    def make(*, future_share=0.5, task_share=0.5, **changes):
        values = {
            "num_steps": 30,
            "batch_size": 64,
            "learning_rate": 1e-2,
            "final_learning_rate": 0.0,
            "warmup_steps": 5,
            "weight_decay": 1e-4,
            "clip_norm": 10.0,
            "validation_fraction": 0.1,
            "num_validation_samples": 64,
            "validation_every": 10,
            "checkpoint_every": 10,
            "keep_every": 10_000,
            "log_every": 10,
            "num_threads": 1,
            "wandb": False,
            "num_plans": 20,
            "refinement_steps": 30,
            "refinement_batch_size": 32,
            "refinement_horizon": 3,
            "refinement_learning_rate": 1e-2,
            "hindsight": Hindsight(
                any_time_share=0.0, future_share=future_share, task_share=task_share, partial_share=0.0
            ),
        }
        return LearningSettings(**(values | changes))

    return make


@pytest.fixture(scope="session")
def metadata():
    return Metadata(
        configs={},
        env={},
        action_repeat=1,
        versions={},
        data_fingerprint="",
        training_step=0,
        bonds={},
    )
