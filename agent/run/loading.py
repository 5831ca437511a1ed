"""From a run folder to an agent, without an environment and without executing anything that was saved."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.actor import Actor
from agent.run.building import build, shipped
from agent.run.config import Config, ConfigError, compose_config
from agent.run.saved_config import read_config
from envs.spec import EnvSpec
from world_model.checkpoint import CheckpointError, load_checkpoint
from world_model.fit import LAST
from world_model.jepa import JEPA
from world_model.types import WorldModel

MODEL_GROUPS = ("world_model", "encoder", "predictor")
"""Config groups that say how a world model is built; a checkpoint keeps their names and values."""


TRAINING_FOLDER = "training"
"""Where in a run folder the training lies."""


def load_agent(run_folder: Path | str, overrides: Sequence[str] = ()) -> Actor:
    """Returns the agent of a finished run.

    Args:
        run_folder: The folder of a finished run or training.
        overrides: Changes to its config, as on the command line: `["planner.num_samples=512"]`.

    Raises:
        CheckpointError, ConfigError: The folder holds no such run, or a damaged one.
    """
    folder = Path(run_folder)
    config = compose_config(overrides, base=read_config(folder))
    world_model, spec = load_world_model(checkpoint_path(folder))
    return build_actor(config, world_model, spec, action_repeat=world_model.action_repeat)


def checkpoint_path(run_folder: Path) -> Path:
    """Returns where a run keeps the world model that acts."""
    return run_folder / TRAINING_FOLDER / LAST


def load_world_model(path: Path) -> tuple[JEPA, EnvSpec]:
    """Returns a trained world model and the task that it was trained on.

    Raises:
        CheckpointError, ConfigError: There is none, or a damaged one, or one that asks for what is not shipped.
    """
    checkpoint = load_checkpoint(path)
    try:
        spec = EnvSpec.from_json(checkpoint.metadata.env)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} describes no environment: {error!r}") from None
    configs = checkpoint.metadata.configs
    if set(configs) != set(MODEL_GROUPS):
        raise CheckpointError(f"{path} must describe {sorted(MODEL_GROUPS)}, got {sorted(configs)}")
    try:
        model = build_world_model(configs, spec)
    except (TypeError, RuntimeError) as error:  # values of another kind, or sizes that no memory holds
        raise CheckpointError(f"{path} describes no world model: {error}") from None
    if model.action_repeat != checkpoint.metadata.action_repeat:
        raise CheckpointError(
            f"{path} says action_repeat={checkpoint.metadata.action_repeat}, its world model has {model.action_repeat}"
        )
    checkpoint.restore("world_model", model)
    return model.eval(), spec


def model_configs(config: Config) -> dict[str, Any]:
    """Returns how a config builds its world model, as a checkpoint keeps it."""
    return {group: config.named(group) for group in MODEL_GROUPS}


def build_world_model(configs: Mapping[str, Any], spec: EnvSpec) -> JEPA:
    """Returns an untrained world model for a task.

    Args:
        configs: Each of `MODEL_GROUPS` to its `{"name", "values"}`.
        spec: Of the task.
    """
    groups = {group: shipped(group, configs[group]) for group in MODEL_GROUPS}
    embed_dims = groups["world_model"].embed_dims
    if embed_dims is None:
        groups["world_model"].embed_dims = {name: math.prod(shape) for name, shape in spec.sensors.items()}
    elif not isinstance(embed_dims, Mapping) or not all(isinstance(size, int) for size in embed_dims.values()):
        raise ConfigError(f"world_model.embed_dims must map sensors to sizes, as in {{tip: 3}}, got {embed_dims}")
    model = build(
        groups["world_model"],
        sensors=spec.sensors,
        action_dim=spec.action_dim,
        encoder=build(groups["encoder"]),
        predictor=build(groups["predictor"]),
    )
    assert isinstance(model, JEPA)
    return model


def build_actor(config: Config, world_model: WorldModel, spec: EnvSpec, *, action_repeat: int) -> Actor:
    """Returns the agent that plans with a world model, as its config says."""
    values = config.values
    limits = {name: cost.limit for name, cost in values.cost.items() if cost.limit is not None}
    configurator = build(
        values.configurator,
        terms={name: build(cost.term) for name, cost in values.cost.items()},
        weights={name: cost.weight for name, cost in values.cost.items()},
        limits=limits,
    )
    planner, guardrails = build(values.planner), build(values.guardrails, spec=spec)
    if limits:
        planner = build(values.constraints, planner=planner)
    try:
        return Actor(
            world_model=world_model,
            planner=planner,
            configurator=configurator,
            guardrails=guardrails,
            policy=None,
            critic=None,
            spec=spec,
            action_repeat=action_repeat,
            memory_capacity=max(spec.num_steps // action_repeat + 1, world_model.context_length),
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None
