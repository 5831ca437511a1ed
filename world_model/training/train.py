"""Training of a world model: windows of recorded episodes in, a checkpoint out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Generator

from envs.episodes.episode import EpisodeDataset
from world_model.building import building
from world_model.jepa import JEPA
from world_model.objectives.base import Regularizer
from world_model.training.checkpoint import section_sha256
from world_model.training.dynamics_settings import DynamicsSettings
from world_model.training.embedded import embed_dataset
from world_model.training.fit import fit
from world_model.training.randomness import INITIAL, rng_of
from world_model.training.settings import TrainingSettings
from world_model.training.task import WorldModelTask

ENCODERS_FOLDER = "encoders"
"""Where encoders and dynamics learn together, if the dynamics go on alone."""


def train_world_model(
    *,
    build_model: Callable[[], JEPA],
    regularizer: Regularizer,
    dataset: EpisodeDataset,
    settings: TrainingSettings,
    dynamics_settings: DynamicsSettings,
    configs: Mapping[str, Any],
    seed: int,
    output: Path,
    cache: Path | None,
) -> Path:
    """Trains a world model, or goes on with an interrupted training: on a CPU to the same bytes.

    Encoders and dynamics learn together; then the dynamics go on alone, on embeddings, if they are told to.

    Args:
        build_model: Builds it; its first weights are drawn from `seed`.
        regularizer: Keeps it from collapsing.
        dataset: What it learns from.
        settings: How.
        dynamics_settings: How the dynamics go on alone.
        configs: Config group to `{"name", "values"}`, plain JSON: what the checkpoint says the model was built from.
        seed: Of all randomness.
        output: Folder of all that is written; what comes before a last stage lies in `ENCODERS_FOLDER` below it.
        cache: File in which embeddings are kept, or None; see `embed_dataset`.

    Returns:
        The path of the last checkpoint.

    Raises:
        DatasetError: The dataset lacks a sensor, holds what is not finite, or too few episodes are long enough.
        TrainingStopped: The model has collapsed, is deaf to actions, or diverged.
        CheckpointError: The folder holds another training, or a damaged one.
        OSError: Something cannot be written.
    """
    settings, goes_on = settings.on_this_machine(), dynamics_settings.num_steps > 0
    common = {"seed": seed, "data": dataset.fingerprint}
    identity = {
        **common,
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
            is_last_stage=not goes_on,
            seed=seed,
        )
    if goes_on:
        task.check_alone(dynamics_settings)
    folder = output / ENCODERS_FOLDER if goes_on else output
    path = fit(task, settings=settings, identity=identity, output=folder, description="training")
    if not goes_on:
        return path
    task.model.eval()
    task.tell_places()
    parent = section_sha256(task.model.state_dict())
    dynamics_task = task.dynamics_task(embed_dataset(task.model, dataset, cache=cache), dynamics_settings)
    identity = {**common, "world_model": parent, "dynamics_training": dynamics_settings.identity}
    return fit(dynamics_task, settings=dynamics_settings, identity=identity, output=output, description="dynamics")
