"""From a run folder to an agent, without an environment and without executing anything that was saved."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.actor import Actor
from agent.run.building import build, shipped
from agent.run.config import Config, compose_config, read_config
from envs.spec import EnvSpec
from world_model.checkpoint import load_checkpoint
from world_model.jepa import JEPA

MODEL_GROUPS = ("world_model", "encoder", "predictor")
"""Config groups that say how a world model is built; a checkpoint keeps their names and values."""


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
    return build_actor(config, world_model, spec)


def checkpoint_path(run_folder: Path) -> Path:
    """Returns where a run keeps the world model that acts."""
    return run_folder / "training" / "last.safetensors"
