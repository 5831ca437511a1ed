"""Recorded worlds whose dynamics are known."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.episodes.episode import Episode, EpisodeDataset, open_dataset
from envs.episodes.recording import write_dataset
from envs.spec import BoxActions, Sensor, TaskSpec
from world_model.action_encoders import BoxActionEncoder
from world_model.dynamics.residual_mlp import ResidualMLPDynamics
from world_model.encoders.mlp import MLPEncoder
from world_model.jepa import JEPA
from world_model.latent.none import no_latent
from world_model.training.dynamics_settings import DynamicsSettings
from world_model.training.settings import TrainingSettings
from world_model.types import is_image


def write(folder: Path, readings: list[dict[str, Any]], actions: list[Any]) -> EpisodeDataset:
    """Writes episodes, each of readings `[num_steps + 1, *shape]` and actions `[num_steps, action_dim]`."""
    env = TaskSpec(
        task_id="test/Linear-v0",
        fingerprint="",
        sensors={
            name: Sensor(values.shape[1:], "image" if is_image(values.shape[1:]) else "numbers", "")
            for name, values in readings[0].items()
        },
        perceived=tuple(readings[0]),
        goal={},
        asked=(),
        actions=BoxActions.unit(actions[0].shape[1]),
        control_dt=0.05,
        num_steps=len(actions[0]),
        effector=None,
    )
    episodes = [
        Episode(
            observations={
                name: values if values.dtype == np.uint8 else np.float32(values) for name, values in seen.items()
            },
            actions=np.float32(done),
            seed=seed,
            verdicts=(),
            num_redrawn=0,
        )
        for seed, (seen, done) in enumerate(zip(readings, actions, strict=True))
    ]
    write_dataset(folder, episodes, env=env, policy_name="test", policy_values={}, report={})
    return open_dataset(folder)


@pytest.fixture(scope="session")
def record() -> Callable[..., EpisodeDataset]:
    """Writes episodes and opens them."""
    return write


@pytest.fixture(scope="session")
def linear(tmp_path_factory: pytest.TempPathFactory) -> EpisodeDataset:
    """A mass in the plane: `velocity' = 0.7 velocity + 0.3 action`, `position' = position + velocity'`."""
    return write(tmp_path_factory.mktemp("linear"), *move_a_mass(gust=0.0))


@pytest.fixture(scope="session")
def windy(tmp_path_factory: pytest.TempPathFactory) -> EpisodeDataset:
    """The same in gusts of wind, which nobody can predict."""
    return write(tmp_path_factory.mktemp("windy"), *move_a_mass(gust=0.3))


def move_a_mass(gust: float) -> tuple[list[dict[str, Any]], list[Any]]:
    """Returns readings and actions of 200 episodes of 20 steps."""
    rng = np.random.default_rng(0)
    readings, actions = [], []
    for _ in range(200):
        position, velocity = [rng.normal(size=2)], [0.3 * rng.normal(size=2)]
        done = rng.uniform(-1, 1, (20, 2))
        for action in done:
            velocity.append(0.7 * velocity[-1] + 0.3 * action + gust * rng.normal(size=2))
            position.append(position[-1] + velocity[-1])
        readings.append({"position": np.array(position), "velocity": np.array(velocity)})
        actions.append(done)
    return readings, actions


@pytest.fixture(scope="session")
def unheard(tmp_path_factory: pytest.TempPathFactory) -> EpisodeDataset:
    """A point on a circle that turns by itself: actions are recorded, and move nothing."""
    rng = np.random.default_rng(0)
    readings, actions = [], []
    for _ in range(100):
        angle = rng.uniform(0, 2 * np.pi) + 0.3 * np.arange(21)
        readings.append({"position": np.stack([np.cos(angle), np.sin(angle)], axis=1)})
        actions.append(rng.uniform(-1, 1, (20, 2)))
    return write(tmp_path_factory.mktemp("unheard"), readings, actions)


@pytest.fixture(scope="session")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> EpisodeDataset:
    """A bright square that actions move over a dark picture, and its place: 60 episodes of 12 steps."""
    rng = np.random.default_rng(0)
    readings, actions = [], []
    for _ in range(60):
        done = rng.uniform(-1, 1, (12, 2))
        place = (8 + np.concatenate([rng.uniform(-3, 3, (1, 2)), 2 * done]).cumsum(axis=0)).clip(1.5, 14.5)
        rows, columns = (np.abs(np.arange(16) + 0.5 - place[:, [axis]]) for axis in (0, 1))
        square = (2 - np.maximum(rows[:, :, None], columns[:, None])).clip(0, 1)
        film = np.repeat((20 + 200 * square).astype(np.uint8)[..., None], 3, axis=3)
        readings.append({"camera": film, "place": place})
        actions.append(done)
    return write(tmp_path_factory.mktemp("filmed"), readings, actions)


@pytest.fixture(scope="session")
def build_model() -> Callable[..., JEPA]:
    """Builds a small model of the mass in the plane, of what a test changes in it."""

    def build(**changes: Any) -> JEPA:
        values = {
            "sensors": {"position": (2,), "velocity": (2,)},
            "embed_dims": {"position": 2, "velocity": 2},
            "encoder": partial(MLPEncoder, hidden_dim=16, num_layers=1),
            "action_encoder": BoxActionEncoder,
            "dynamics": partial(ResidualMLPDynamics, hidden_dim=32, num_layers=2),
            "goal_dim": None,
            "kinds": [],
            "latent": no_latent,
            "context_length": 1,
            "action_dim": 2,
            "action_repeat": 1,
        }
        return JEPA(**(values | changes))

    return build


@pytest.fixture(scope="session")
def settings() -> Callable[..., TrainingSettings]:
    """Settings of a training that takes a moment, of what a test changes in them."""

    def make(**changes: Any) -> TrainingSettings:
        values = {
            "num_steps": 40,
            "batch_size": 32,
            "rollout_length": 3,
            "learning_rate": 3e-3,
            "final_learning_rate": 0.0,
            "warmup_steps": 5,
            "weight_decay": 1e-4,
            "clip_norm": 1.0,
            "inverse_dynamics_weight": 0.0,
            "inverse_dynamics_dim": 8,
            "proprioception_weight": 1.0,
            "straightening_weight": 0.0,
            "persistence_weight": 0.0,
            "persistent_dim": 4,
            "num_probe_frames": 64,
            "num_contact_steps": 3,
            "augmentation": {"max_shift": 0, "max_brightness": 0.0, "max_contrast": 0.0},
            "validation_fraction": 0.1,
            "num_validation_windows": 64,
            "validation_every": 10,
            "checkpoint_every": 10,
            "keep_every": 20,
            "log_every": 5,
            "num_threads": 1,
            "wandb": False,
            "device": "cpu",
            "precision": "float32",
            "alarm": {
                "grace_steps": 1000,
                "min_std": 0.1,
                "min_rank_share": 0.6,
                "min_action_sensitivity": 0.1,
                "max_unexplained_error": 0.5,
                "max_unexplained_drift": 0.1,
            },
        }
        return TrainingSettings(**(values | changes))

    return make


@pytest.fixture(scope="session")
def dynamics_settings() -> Callable[..., DynamicsSettings]:
    """Settings of dynamics that go on alone for a moment, of what a test changes in them."""

    def make(**changes: Any) -> DynamicsSettings:
        values = {
            "num_steps": 40,
            "batch_size": 32,
            "rollout_length": 3,
            "contact_share": 0.5,
            "learning_rate": 3e-3,
            "final_learning_rate": 0.0,
            "warmup_steps": 5,
            "weight_decay": 1e-4,
            "clip_norm": 1.0,
            "validation_every": 10,
            "checkpoint_every": 10,
            "keep_every": 20,
            "log_every": 5,
            "num_threads": 1,
            "wandb": False,
        }
        return DynamicsSettings(**(values | changes))

    return make
