"""jepa-mpc surprise: is the world model of a finished run surprised by what cannot be?

Things jump, move by themselves, vanish, let the robot pass or have other colours. Each such step is paired with a push
in which as much of what is seen changes, and the errors of what was foreseen are compared, beside what is usual: a mere
detector of change tells nothing apart. Writes surprise.json, surprise.png, and strangest.png with the steps that
surprise most.

usage: jepa-mpc surprise run=DIR [num_episodes=N] [split=validation|evaluation] [output=DIR]
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from agent.evaluation.results import write_results
from agent.evaluation.seeds import Entries
from agent.evaluation.surprise import (
    RESULTS_FILE,
    Moment,
    Stage,
    SurpriseError,
    foresee,
    format_surprise,
    judge_tricks,
    make_surprise_results,
    staged_moments,
    strangest,
    surprises_of,
)
from agent.host import own_settings, settings_kept
from agent.run.config.building import build
from agent.run.config.composing import Changes, Config
from agent.run.config.saved import save_config
from agent.run.stages.evaluate import fingerprint, package_versions
from agent.run.stages.finished_run import compose_on_run, findings_folder, load_modules_for
from agent.run.stages.loading import checkpoint_path
from agent.run.stages.lock import locked
from agent.run.stages.looks import count_looks
from agent.run.stages.vision import make_vision, task_factory
from envs.rendering import NothingRenders
from envs.types import HasCameras
from world_model.training.checkpoint import file_sha256

if TYPE_CHECKING:
    from agent.evaluation.surprise_plot import Step

SECTION = "surprise"
PLOT_FILE = "surprise.png"
STRIP_FILE = "strangest.png"
_PICTURE_SIZE = 200  # pixels
_NUM_POSSIBLE = 2  # in the strip


@dataclass(frozen=True)
class Surprise:
    """What a world model is surprised by.

    Attributes:
        folder: Where it was written down.
        results: What surprise.json holds.
        pictures: That were drawn.
    """

    folder: Path
    results: Mapping[str, Any] = field(repr=False)
    pictures: tuple[Path, ...]

    @property
    def report(self) -> str:
        """The table of what was staged."""
        return format_surprise(self.results)


def main(changes: Changes) -> int:
    """Runs the command."""
    measure_surprise(changes)
    return 0


def measure_surprise(changes: Changes) -> Surprise:
    """Stages what is asked for, and measures how much it surprises."""
    config, run_folder = compose_on_run(changes, command=SECTION, section=SECTION)
    values = config.values.surprise
    output = findings_folder(config, run_folder, default=SECTION)
    entries = Entries(values.split, 0, values.num_episodes)
    vision = make_vision(config)
    with (
        settings_kept(),
        own_settings(),
        closing(task_factory(config)(vision=vision, film_size=_PICTURE_SIZE)) as task,
    ):
        if not isinstance(task, Stage):
            raise SurpriseError(
                f"surprise is measured where a thing can be made to do what nothing does, as env=push, and in "
                f"{task.spec.task_id} nothing can"
            )
        world_model = load_modules_for(task, config, run_folder).world_model
        policy = build(config.values.exploration)(task.spec)
        moments = [
            moment
            for seed in tqdm(entries.seeds, desc=SECTION, unit="episode")
            for moment in staged_moments(
                task,
                policy,
                seed=seed,
                context_length=world_model.least_context,
                action_repeat=world_model.action_repeat,
            )
        ]
        foresight = foresee(world_model, moments)
        surprises = surprises_of(moments, foresight)
        checkpoint_sha256 = file_sha256(checkpoint_path(run_folder))
        looks = count_looks(run_folder, entries, fingerprint=fingerprint(config, checkpoint_sha256))
        verdicts = judge_tricks(task.spec, moments, surprises, foresight.energies.numpy())
        results = make_surprise_results(
            {
                **_description(config),
                "renderer": None if vision is None else list(vision.backends),
                "evaluation_looks": looks,
                "checkpoint": {"sha256": checkpoint_sha256},
                "versions": package_versions(),
            },
            moments,
            surprises,
            verdicts,
        )
        print(format_surprise(results))
        from agent.evaluation.surprise_plot import write_strip, write_surprise_plot  # drawing takes a second to load

        with locked(output):
            save_config(config, output)
            print(f"results: {write_results(results, output, file=RESULTS_FILE)}")
            pictures = [write_surprise_plot(results, output / PLOT_FILE)]
            try:
                steps = _steps(task, moments, surprises)
                pictures.append(write_strip(steps, output / STRIP_FILE))
            except NothingRenders as error:
                print(f"no strip: {error}")
            print(f"pictures: {', '.join(map(str, pictures))}")
    return Surprise(folder=output, results=results, pictures=tuple(pictures))


def _description(config: Config) -> dict[str, Any]:
    values = config.values
    return {
        "env": config.choices["env"],
        "observation": config.choices["observation"],
        "exploration": config.choices["exploration"],
        "seed": values.seed,
        "split": values.surprise.split,
        "num_episodes": values.surprise.num_episodes,
    }


def _steps(task: Stage, moments: Sequence[Moment], surprises: NDArray[np.float64]) -> "list[Step]":
    """Draws the steps that surprise most."""
    from agent.evaluation.surprise_plot import Step

    assert isinstance(task, HasCameras)
    steps = []
    for index in strangest(moments, surprises, num_possible=_NUM_POSSIBLE):
        moment = moments[index]
        task.reset(moment.seed)
        task.restore(moment.states[0])
        before = task.picture()
        moment.show_end(task)
        steps.append(Step(moment.what, float(surprises[index]), before, task.picture()))
        task.obey()
    return steps
