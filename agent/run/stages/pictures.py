"""What a run leaves for people to look at, most of it where the agent sees by a camera; nothing that acts uses it.

decoder/              how the decoder learned
decoder.safetensors   what draws embeddings, and reads the tip off them
pictures/             how the dynamics do where things are moved; held-out episodes beside what is imagined of them, and
                      maps of how far goals seem to be
"""

import json
import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agent.evaluation.seeds import episode_seeds
from agent.run.config.building import build
from agent.run.config.composing import Config
from agent.run.config.randomness import first_weights, rng
from agent.run.stages.finished_run import load_modules_for
from agent.run.stages.learn import TRAINING_FOLDER
from agent.run.stages.loading import checkpoint_path, steps_critic
from agent.run.stages.modules import WORLD_MODEL, Modules, bond
from agent.run.stages.vision import configured_task, make_vision
from envs.episodes.episode import EpisodeDataset
from envs.rendering import NothingRenders
from envs.spec import TaskSpec
from envs.types import HasGoals, Task
from world_model.interpreter import SECTION, Interpreter, InterpreterTask, PictureSettings
from world_model.jepa import JEPA
from world_model.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, section_sha256
from world_model.training.fit import fit
from world_model.training.run_log import LOG
from world_model.training.settings import TrainingSettings
from world_model.training.task import split_of_training
from world_model.training.train import ENCODERS_FOLDER
from world_model.types import WorldModel

if TYPE_CHECKING:
    from agent.evaluation.pictures.imagined_episode import ImaginedEpisode

DECODER_FOLDER = "decoder"
DECODER = "decoder.safetensors"
PICTURES_FOLDER = "pictures"


def draw_pictures(config: Config, dataset: EpisodeDataset, run_folder: Path) -> list[Path]:
    """Draws what a finished training has learned to see, if that was by a camera; what is there is not drawn again.

    Returns:
        The pictures.

    Raises:
        CheckpointError: The folder holds another decoder, or a damaged one.
    """
    from agent.evaluation.pictures.imagined_episode import write_imagined_episode

    settings: PictureSettings = build(config.values.pictures)
    if not settings.num_examples:
        return []
    folder = run_folder / PICTURES_FOLDER
    contact = _draw_contact(run_folder, folder / "contact.png")
    if make_vision(config) is None:
        if contact:
            print(f"pictures: {contact[0]}")
        return contact
    if dataset.manifest.env.effector is None:
        print("no pictures: where the robot is can be drawn only where its task names an effector, and it names none")
        return contact
    _, held_out = _split(config, dataset)
    episodes = {folder / f"imagined_{index}.png": int(index) for index in held_out[: settings.num_examples]}
    with closing(configured_task(config)) as task:
        maps = [folder / "distance.png"] if isinstance(task, HasGoals) else []
        if not all(path.is_file() for path in [run_folder / DECODER, *episodes, *maps]):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                modules = load_modules_for(task, config, run_folder)
                interpreter = _learn_interpreter(config, settings, modules, dataset, run_folder)
                for path, index in episodes.items():
                    write_imagined_episode(_imagine(modules, interpreter, dataset, index), path)
                for path in maps:
                    _draw_maps(config, modules, task, settings.num_examples, path)
            except (OSError, NothingRenders) as error:  # nothing depends on them
                print(f"no pictures: {' '.join(str(error).split())}")
                return contact
    print(f"pictures: {', '.join(map(str, [*contact, *episodes, *maps]))}")
    return [*contact, *episodes, *maps]


def _draw_contact(run_folder: Path, path: Path) -> list[Path]:
    """Draws what the training found of things that can be moved, if there are any."""
    from agent.evaluation.pictures.contact_plot import PREFIX, write_contact_plot

    folder = run_folder / TRAINING_FOLDER
    logs = {"encoders and dynamics": folder / ENCODERS_FOLDER / LOG, "dynamics": folder / LOG}
    if not logs["encoders and dynamics"].is_file():
        logs = {"encoders and dynamics": folder / LOG}
    if not all(log.is_file() for log in logs.values()):  # what was learned is there all the same
        return []
    stages = {}
    for name, log in logs.items():
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        stages[name] = [line for line in lines if f"{PREFIX}moving_error" in line]
    if not all(stages.values()):
        print("contact is not judged: no sensor reads a thing that is moved at times and rests most of the time")
        return []
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_contact_plot(stages, path)
        except OSError as error:  # nothing depends on it
            print(f"no picture of contact: {' '.join(str(error).split())}")
            return []
    return [path]


def load_interpreter(config: Config, world_model: WorldModel, spec: TaskSpec, run_folder: Path) -> Interpreter | None:
    """Returns what reads the embeddings of a run's world model, or None where the run has left none.

    Raises:
        CheckpointError: It is damaged.
    """
    path = run_folder / DECODER
    if not path.is_file() or not isinstance(world_model, JEPA):
        return None
    checkpoint = load_checkpoint(path)
    sections = {WORLD_MODEL: world_model.state_dict(), **checkpoint.sections}
    if checkpoint.metadata.bonds.get(SECTION) != bond(sections, SECTION):
        return None
    interpreter = _untrained(world_model, spec, build(config.values.pictures))
    checkpoint.restore(SECTION, interpreter)
    return interpreter.eval().requires_grad_(False)


def _learn_interpreter(
    config: Config, settings: PictureSettings, modules: Modules, dataset: EpisodeDataset, run_folder: Path
) -> Interpreter:
    """Trains what reads embeddings, or goes on with it; see `world_model.training.fit`."""
    interpreter = load_interpreter(config, modules.world_model, modules.spec, run_folder)
    if interpreter is not None:
        return interpreter
    learned, held_out = _split(config, dataset)
    with first_weights(config, SECTION):
        interpreter = _untrained(modules.world_model, modules.spec, settings)
    seed = int(rng(config, SECTION).integers(2**31))
    metadata = replace(load_checkpoint(checkpoint_path(run_folder)).metadata, bonds={})
    task = InterpreterTask(
        interpreter=interpreter,
        model=modules.world_model,
        dataset=dataset,
        place_sensor=_place_sensor(modules.spec),
        learned=learned,
        held_out=held_out,
        settings=settings,
        metadata=metadata,
        seed=seed,
    )
    world_model = modules.world_model.state_dict()
    identity = {
        "seed": seed,
        "data": dataset.fingerprint,
        "world_model": section_sha256(world_model),
        "pictures": settings.identity,
    }
    path = fit(task, settings=settings, identity=identity, output=run_folder / DECODER_FOLDER, description="decoder")
    learnt = load_checkpoint(path)
    learnt.restore(SECTION, interpreter)
    bonds = {SECTION: bond({WORLD_MODEL: world_model, **learnt.sections}, SECTION)}
    save_checkpoint(run_folder / DECODER, Checkpoint(learnt.sections, replace(learnt.metadata, bonds=bonds)))
    return interpreter.eval().requires_grad_(False)


def _untrained(world_model: JEPA, spec: TaskSpec, settings: PictureSettings) -> Interpreter:
    shape = spec.sensors[_place_sensor(spec)].shape
    return Interpreter.of(world_model, settings, num_coordinates=math.prod(shape))


def _place_sensor(spec: TaskSpec) -> str:
    """Returns what reads where the robot is."""
    assert spec.effector is not None  # or nothing would be drawn
    return spec.effector.sensor


def _imagine(modules: Modules, interpreter: Interpreter, dataset: EpisodeDataset, index: int) -> "ImaginedEpisode":
    from agent.evaluation.pictures.imagined_episode import imagine_episode

    observations, actions = dataset.episode(index)
    return imagine_episode(
        modules.world_model,
        interpreter,
        observations=observations,
        actions=actions,
        place_sensor=_place_sensor(modules.spec),
        control_dt=modules.spec.control_dt,
    )


def _draw_maps(config: Config, modules: Modules, task: Task, num_goals: int, path: Path) -> None:
    """Draws how far goals of the validation episodes seem to be, in a task that can show that."""
    from agent.evaluation.pictures.distance_map import map_distances, write_distance_maps

    assert isinstance(task, HasGoals)
    judge = steps_critic(config)
    critic = None if judge is None else modules.critics[judge]
    maps = []
    for seed in episode_seeds("validation", num_goals):
        task.reset(seed)
        maps.append(map_distances(task, modules.spec, modules.world_model, critic, wish=task.wish()))
    write_distance_maps(maps, path)


def _split(config: Config, dataset: EpisodeDataset) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the episodes that the world model has learned from, and those that it has not."""
    values = config.values
    settings: TrainingSettings = build(values.training)
    return split_of_training(
        dataset,
        num_steps=settings.window_steps(
            context_length=values.world_model.context_length, action_repeat=values.world_model.action_repeat
        ),
        validation_fraction=settings.validation_fraction,
        seed=values.seed,
    )
