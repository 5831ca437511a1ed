"""Training of a world model: windows of recorded episodes in, a checkpoint out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Generator

from envs.episodes.episode import EpisodeDataset
from world_model.building import building
from world_model.jepa import JEPA
from world_model.objectives.base import Regularizer
from world_model.training.fit import fit
from world_model.training.randomness import INITIAL, rng_of
from world_model.training.settings import TrainingSettings
from world_model.training.task import WorldModelTask


def train_world_model(
    *,
    build_model: Callable[[], JEPA],
    regularizer: Regularizer,
    dataset: EpisodeDataset,
    settings: TrainingSettings,
    configs: Mapping[str, Any],
    seed: int,
    output: Path,
) -> Path:
    """Trains a world model, or goes on with an interrupted training: on a CPU to the same bytes.

    Args:
        build_model: Builds it; its first weights are drawn from `seed`.
        regularizer: Keeps it from collapsing.
        dataset: What it learns from.
        settings: How.
        configs: Config group to `{"name", "values"}`, plain JSON: what the checkpoint says the model was built from.
        seed: Of all randomness.
        output: Folder of all that is written.

    Returns:
        The path of the last checkpoint.

    Raises:
        DatasetError: The dataset lacks a sensor, holds what is not finite, or too few episodes are long enough.
        TrainingStopped: The model has collapsed, is deaf to actions, or diverged.
        CheckpointError: The folder holds another training, or a damaged one.
        OSError: Something cannot be written.
    """
    settings = settings.on_this_machine()
    identity = {
        "seed": seed,
        "data": dataset.fingerprint,
        "configs": configs,
        "training": settings.identity,
        "regularizer": repr(regularizer),
    }
    with building(Generator("cpu").manual_seed(int(rng_of(seed, INITIAL, 0).integers(2**63)))):
        task = WorldModelTask(
            model=build_model(),
            regularizer=regularizer,
            dataset=dataset,
            settings=settings,
            configs=configs,
            seed=seed,
        )
    return fit(task, settings=settings, identity=identity, output=output, description="training")
