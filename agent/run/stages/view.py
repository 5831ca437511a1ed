"""jepa-mpc view: watch the agent of a finished run at work, or write down what it does.

Without record=FILE MuJoCo's own viewer opens: the goal can be dragged while the agent pursues it, things can be pushed,
and keys switch planner, mode and episode; F8 tells all of them. It needs a display. record=FILE needs none: it writes
one episode as a film, FILE ending in .gif, .webp or .mp4, or with all that goes on in the agent as a recording for
Rerun, FILE ending in .rrd, which needs the extra jepa-mpc[rerun].

usage: jepa-mpc view run=DIR [record=FILE] [episode=N] [planner=NAME] [key=value ...]
"""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import cast

import numpy as np
import torch

from agent.actor import Actor
from agent.configurator.types import MODES, PLANNING
from agent.evaluation.episodes import succeeds_at_end
from agent.evaluation.pictures.files import FILM_FORMATS, missing_plugin, write_film
from agent.evaluation.scenarios.types import Scenario
from agent.evaluation.seeds import Entries
from agent.evaluation.video import FRAME_SIZE, Camera
from agent.evaluation.view.keys import Switches
from agent.evaluation.view.session import ActorMaker, Session, ViewableTask
from agent.host import settings_kept
from agent.run.config.composing import Changes, Config, ConfigError, group_names
from agent.run.config.refusals import refusals
from agent.run.stages.finished_run import compose_on_run, load_modules_for, with_planner
from agent.run.stages.loading import build_actor
from agent.run.stages.pictures import load_interpreter
from agent.run.stages.scenario import EPISODES, scenario_maker
from agent.run.stages.vision import configured_task, make_vision, task_factory
from envs.episodes.episode import Episode
from envs.types import Task, Viewable

SECTION = "view"
RECORDING = ".rrd"


def main(changes: Changes) -> int:
    """Runs the command."""
    config, run_folder = compose_on_run(changes, command="view", section=SECTION)
    if config.values.actor.learn_online:
        raise ConfigError(
            "view shows what a run has learned, and nothing is learned on the way: set actor.learn_online=false"
        )
    if config.values.output is not None:
        raise ConfigError(f"view has no output folder, got output={config.values.output}: record=FILE names its file")
    record = config.values.view.record
    with settings_kept():
        torch.set_num_threads(1)  # the last bits of a matrix product depend on it, and episodes are those of evaluate
        if record is None:
            _open_window(config, run_folder)
        else:
            _writer(Path(record))(config, run_folder, Path(record))
    return 0


def _writer(path: Path) -> Callable[[Config, Path, Path], None]:
    """Returns what writes such a file.

    Raises:
        ConfigError: Nothing does.
        UserError: Something is missing for it.
    """
    if path.suffix == RECORDING:
        from agent.evaluation.view.rerun_export import load_rerun

        load_rerun()
        return _record
    film_format = path.suffix.removeprefix(".")
    if film_format not in FILM_FORMATS:
        suffixes = ", ".join(f".{name}" for name in FILM_FORMATS)
        raise ConfigError(f"record must end in one of {suffixes}, or in {RECORDING} for Rerun, got '{path}'")
    if missing := missing_plugin(film_format):
        raise ConfigError(f"{missing}; or record another kind of file")
    return _film


def _film(config: Config, run_folder: Path, path: Path) -> None:
    """Writes a film of the episode."""
    task = task_factory(config)(vision=make_vision(config), film_size=FRAME_SIZE)
    with closing(task):
        actor, scenario = _make_actor(config, run_folder, task), _make_scenario(config, task)
        interpreter = load_interpreter(config, actor.world_model, actor.spec, run_folder)
        film = Camera(task, actor, scenario, load_interpreter=lambda _: interpreter).film(_seed(config))
        write_film(film.frames, path, frame_dt=task.spec.control_dt)
        print(f"film: {path}, {_summary(config, film.episode)}")


def _record(config: Config, run_folder: Path, path: Path) -> None:
    """Writes a recording of the episode for Rerun."""
    from agent.evaluation.view.rerun_export import trace_episode, write_recording

    task = task_factory(config)(vision=make_vision(config), film_size=FRAME_SIZE)
    with closing(task):
        actor, scenario = _make_actor(config, run_folder, task), _make_scenario(config, task)
        trace = trace_episode(task, actor, scenario, seed=_seed(config))
        write_recording(trace, path, spec=task.spec)
        print(f"recording: {path}, {_summary(config, trace.episode)}")


def _open_window(config: Config, run_folder: Path) -> None:
    """Opens a window, and returns when it is closed."""
    from agent.evaluation.view.window import check_display, open_window

    if config.choices["scenario"] != "undisturbed":
        raise ConfigError(
            f"in a window people are what happens, got scenario={config.choices['scenario']}: choose "
            "scenario=undisturbed, or watch it by record=FILE"
        )
    if config.values.evaluate.goals == EPISODES:
        raise ConfigError(
            "in a window goals are the task's own, or people's, got goals=episodes: choose evaluate.goals=task, or "
            "watch it by record=FILE"
        )
    if config.values.actor.latency:
        raise ConfigError(
            f"in a window actions take effect at once, got actor.latency={config.values.actor.latency}: leave it out, "
            "or watch a late world by scenario=latency record=FILE"
        )
    check_display()
    with closing(configured_task(config)) as task:
        if not isinstance(task, Viewable):
            raise ConfigError(
                f"{task.spec.task_id} has nothing to show in MuJoCo's viewer: watch it by record=FILE, .gif, .webp or "
                f".mp4 where it can be drawn, or {RECORDING} for Rerun"
            )
        viewable = cast("ViewableTask", task)
        session = Session(viewable, _actor_maker(config, run_folder, task), _switches(config))
        print("the window is open: F8 tells its keys, Ctrl+Q closes it")
        open_window(session, viewable)


def _switches(config: Config) -> Switches:
    """Returns what the config sets at first."""
    values = config.values
    return Switches(
        planners=tuple(group_names()["planner"]),
        modes=(PLANNING,) if values.policy is None else MODES,
        planner=str(config.choices["planner"]),
        mode=values.actor.mode,
        episode=values.view.episode,
    )


def _actor_maker(config: Config, run_folder: Path, task: Task) -> ActorMaker:
    """Returns what makes the agent with another planner or mode, of the same modules."""
    modules = load_modules_for(task, config, run_folder)
    return lambda planner, mode: build_actor(with_planner(config, planner, {"actor.mode": mode}), modules)


def _make_actor(config: Config, run_folder: Path, task: Task) -> Actor:
    return build_actor(config, load_modules_for(task, config, run_folder))


def _make_scenario(config: Config, task: Task) -> Scenario:
    with refusals():
        scenario: Scenario = scenario_maker(config)(task.spec)
    return scenario


def _seed(config: Config) -> int:
    return Entries("validation", config.values.view.episode, 1).seeds[0]


def _summary(config: Config, episode: Episode) -> str:
    """Returns which episode it is and what it came to."""
    reached = np.array([verdict.success for verdict in episode.verdicts[1:]], np.bool_)
    success = succeeds_at_end(reached, terminated=episode.verdicts[-1].terminated)
    outcome = "a success" if success else "no success"
    return f"episode {config.values.view.episode} of validation, seed {episode.seed}: {outcome} at the end"
