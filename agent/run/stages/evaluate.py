"""jepa-mpc evaluate: measure the success of a finished run, beside random, zero and expert (where there are any).

The run's own config is the base, the command line lies on top. The episodes are those of the validation split, unless
split=evaluation is said: that is for the record, and results.json counts how often it was looked at. Records depend on
neither the order of the episodes nor the number of workers, unless the agent learns on the way
(actor.learn_online=true). Exits with 1 where fail_under is given and the lower bound of success at the end is below it.

usage: jepa-mpc evaluate run=DIR [planner=NAME] [split=validation|evaluation] [num_episodes=N] [num_workers=W]
                         [fail_under=R] [output=DIR] [key=value ...]
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from agent.actor import Actor
from agent.evaluation.baselines import BASELINES, baselines_of, make_baseline
from agent.evaluation.diagnosis import format_diagnosis
from agent.evaluation.episodes import EvaluatedEpisode, judged
from agent.evaluation.evaluate import RECORDS_FILE, EpisodeTask, are_recorded, evaluate
from agent.evaluation.oracle import OracleModel
from agent.evaluation.outcomes import OUTCOMES, outcome
from agent.evaluation.protocol import PROTOCOL
from agent.evaluation.report.document import REPORT_FILE
from agent.evaluation.results import RESULTS_FILE, format_results, free_names, make_results, write_results
from agent.evaluation.scenarios.types import Scenario, ScenarioMaker
from agent.evaluation.seeds import Entries
from agent.evaluation.video import film_episodes, film_path
from agent.host import settings_kept
from agent.latency import control_steps
from agent.run.config.composing import Changes, Config, compose_config, flatten
from agent.run.config.saved import CONFIG_FILE, continues, save_config
from agent.run.config.schema import Binding, binding
from agent.run.stages.diagnose import diagnose, exchanged
from agent.run.stages.finished_run import compose_on_run, findings_folder, load_modules_for
from agent.run.stages.loading import (
    build_actor,
    checkpoint_path,
    configured_latency,
    load_actor,
    load_modules,
    recorded_experience,
)
from agent.run.stages.lock import locked
from agent.run.stages.looks import count_looks
from agent.run.stages.pictures import load_interpreter
from agent.run.stages.report import write_evaluation_report
from agent.run.stages.scenario import EPISODES, scenario_maker
from agent.run.stages.validation import validate
from agent.run.stages.vision import configured_task, make_vision, task_factory
from envs.rendering import NothingRenders
from envs.types import HasState, Policy, Task
from world_model.training.checkpoint import file_sha256

SECTION = "evaluate"
VIDEOS_FOLDER = "videos"
_PACKAGES = ("jepa-mpc", "gymnasium", "mujoco", "numpy", "torch")
_SOURCES = ("agent", "envs", "jepa_mpc", "planners", "world_model")
_LOOKED_AT = Path("evaluation", "report")  # nothing of a record depends on how it is shown


@dataclass(frozen=True)
class Evaluation:
    """How well a finished run acts.

    Attributes:
        folder: Where it was written down.
        results_file: Where the results lie.
        report_file: Where the same lies to look at.
        results: What is in the results' file.
        films: Of a few episodes, where something renders.
        passed: Whether the lower bound of success at the end is not below `evaluate.fail_under`.
        run_folder: Of the run.
        config: Of the evaluation.
    """

    folder: Path
    results_file: Path
    report_file: Path
    results: Mapping[str, Any] = field(repr=False)
    films: tuple[Path, ...]
    passed: bool
    run_folder: Path
    config: Config = field(repr=False)

    @property
    def report(self) -> str:
        """The table of the agents."""
        return format_results(self.results)

    @property
    def agent(self) -> Actor:
        """The agent, as it was evaluated."""
        return load_actor(self.config, self.run_folder)


def main(changes: Changes) -> int:
    """Runs the command."""
    return int(not evaluate_agent(changes).passed)


def evaluate_agent(changes: Changes) -> Evaluation:
    """Evaluates a finished run as is asked for."""
    config, run_folder = compose_on_run(changes, command="evaluate", section=SECTION)
    chosen = [config.choices[group] for group in ("planner", "configurator", "scenario")]
    chosen += [config.values.actor.mode] + ["online"] * config.values.actor.learn_online
    asked = config.values.evaluate
    chosen += [f"{EPISODES}_{asked.offset}"] * (asked.goals == EPISODES)
    output = findings_folder(config, run_folder, default="_".join(["evaluate", *map(str, chosen)]))
    validate(config, load_modules(config, checkpoint_path(run_folder)).spec)
    print(f"writing to {output}")
    with locked(output):
        if not continues(config, output):
            save_config(config, output)
        return evaluate_on(config, run_folder, output)


def evaluate_on(config: Config, run_folder: Path, output: Path) -> Evaluation:
    """Evaluates the run in its folder, prints the table, and writes results and films to `output`."""
    values, learn_online = config.values.evaluate, config.values.actor.learn_online
    if learn_online:  # what an interrupted evaluation had learned is gone
        (output / RECORDS_FILE).unlink(missing_ok=True)
    entries = Entries(values.split, values.first_entry, values.num_episodes)
    seeds = entries.seeds
    oracle_seeds = Entries(values.split, values.first_entry, values.oracle).seeds if values.oracle else []
    make_policy = PolicyFactory(run_folder=run_folder, config=config.plain())
    make_scenario = scenario_maker(config)
    checkpoint_sha256 = file_sha256(checkpoint_path(run_folder))
    make_task, vision = task_factory(config), make_vision(config)
    with closing(configured_task(config)) as task:
        spec, criterion, agents = task.spec, task.criterion, ["actor", *baselines_of(task)]
    tasks = [EpisodeTask("oracle", seed) for seed in oracle_seeds]
    tasks += [EpisodeTask(agent, seed) for agent in agents for seed in seeds]
    records = fingerprint(config, checkpoint_sha256)
    evaluated = partial(
        evaluate,
        make_task=make_task,
        vision=vision,
        make_policy=make_policy,
        make_scenario=make_scenario,
        num_workers=values.num_workers,
        fingerprint=records,
        output=output,
    )
    looks = count_looks(run_folder, entries, fingerprint=records)
    if not are_recorded(tasks, fingerprint=records, output=output):
        for seed in seeds:  # they would be films of other episodes
            film_path(output / VIDEOS_FOLDER, "actor", seed, values.video_format).unlink(missing_ok=True)
    episodes = dict(evaluated(tasks))
    description = {
        **_description(config),
        "renderer": None if vision is None else list(vision.backends),
        "note": _note(make_scenario(spec), configured_latency(config, spec)),
        "evaluation_looks": looks,
        "checkpoint": {"sha256": checkpoint_sha256},
    }
    by_agent = {
        agent: [episode for task, episode in episodes.items() if task.agent == agent]
        for agent in agents + ["oracle"] * bool(oracle_seeds)
    }
    results = make_results(
        description, by_agent, criterion=criterion, control_dt=spec.control_dt, versions=package_versions()
    )
    print(format_results(results))
    if values.diagnose:
        results["diagnosis"] = diagnose(by_agent["actor"], values.diagnose, evaluate=evaluated)
        print(format_diagnosis(results["diagnosis"]))
    results_name, config_name, report_name = free_names(
        output,
        (RESULTS_FILE, CONFIG_FILE, REPORT_FILE),
        entries=entries,
        entries_of=lambda there: Entries(
            there["split"], there["first_entry"], len(there["agents"]["actor"]["episodes"])
        ),
    )
    save_config(config, output, file=config_name)
    results_file = write_results(results, output, file=results_name)
    print(f"results: {results_file}")
    films: list[Path] = []
    if learn_online and values.videos:
        print("no films: they would show a fresh agent, without what this one has learned")
    else:
        filmed = one_of_each(by_agent["actor"], values.videos)
        films = _film(config, filmed, run_folder, make_policy, make_scenario, output / VIDEOS_FOLDER)
    report_file = write_evaluation_report(
        config,
        run_folder,
        output,
        file=report_name,
        results=results,
        episodes=by_agent,
        control_dt=spec.control_dt,
        films=films,
    )
    low = results["agents"]["actor"]["success_at_end"]["low"]
    passed = values.fail_under is None or low >= values.fail_under
    if not passed:
        print(f"the lower bound of success at the end, {low:.6f}, is below fail_under={values.fail_under}")
    return Evaluation(
        folder=output,
        results_file=results_file,
        report_file=report_file,
        results=results,
        films=tuple(films),
        passed=passed,
        run_folder=run_folder,
        config=config,
    )


def _description(config: Config) -> dict[str, Any]:
    """Returns what the results file says of what is evaluated, as far as the config tells."""
    choices, values = config.choices, config.values
    reasons = _not_reproducible(config)
    return {
        "env": choices["env"],
        "observation": choices["observation"],
        "planner": choices["planner"],
        "mode": values.actor.mode,
        "learn_online": values.actor.learn_online,
        "configurator": choices["configurator"],
        "scenario": choices["scenario"],
        "scenario_values": config.named("scenario")["values"],
        "seed": values.seed,
        "split": values.evaluate.split,
        "first_entry": values.evaluate.first_entry,
        "protocol": PROTOCOL,
        "reproducible": not reasons,
        "not_reproducible": reasons,
    }


def _note(scenario: Scenario, latency: int) -> str | None:
    """Returns what a reader must know of a scenario, and of an agent in a late world, or in one that it takes for late.

    Args:
        scenario: Of the evaluation.
        latency: That the agent is told.
    """
    notes = [] if scenario.note is None else [scenario.note]
    if latency or scenario.latency:
        notes.append(f"the agent takes its own to be {control_steps(latency)} late")
    return "; ".join(notes) or None


def one_of_each(episodes: Sequence[EvaluatedEpisode], most: int) -> list[int]:
    """Returns the seeds of the first episodes of each outcome, so many at most of each."""
    ended: dict[str, list[int]] = {kind: [] for kind in OUTCOMES}
    for episode in judged(episodes):
        ended[outcome(episode)].append(episode.record.seed)
    return [seed for seeds in ended.values() for seed in seeds[:most]]


def _not_reproducible(config: Config) -> list[str]:
    """Returns why another call might come to other records, if it might."""
    reasons = {
        "what a planner finds in a given time depends on the machine": config.values.configurator.milliseconds
        is not None,
        "what an agent that learns online does depends on the episodes before": config.values.actor.learn_online,
    }
    return [reason for reason, holds in reasons.items() if holds]


@dataclass(frozen=True)
class PolicyFactory:
    """Makes the agents of an evaluation, in whichever process.

    Attributes:
        run_folder: Where the trained models lie.
        config: Of the evaluation, as `Config.plain` returned it.
    """

    run_folder: Path
    config: Mapping[str, Any]

    def __call__(self, name: str, task: Task) -> Policy:
        """Returns the agent of that name: "actor", "oracle", either with a larger budget, or a baseline."""
        if name in BASELINES:
            return make_baseline(name, task)
        torch.set_num_threads(1)  # the last bits of a matrix product depend on it
        name, config = exchanged(name, compose_config([], base=self.config))
        modules = load_modules_for(task, config, self.run_folder)
        recorded = recorded_experience(config, modules, self.run_folder)
        if name == "actor":
            return build_actor(config, modules, recorded=recorded)
        world_model = modules.world_model
        assert isinstance(task, HasState)
        oracle = OracleModel(world_model=world_model, task=task, action_repeat=world_model.action_repeat)
        return build_actor(config, modules, world_model=oracle, recorded=recorded)


def _film(
    config: Config,
    seeds: Sequence[int],
    run_folder: Path,
    make_policy: PolicyFactory,
    make_scenario: ScenarioMaker,
    folder: Path,
) -> list[Path]:
    video_format = config.values.evaluate.video_format
    paths = [film_path(folder, "actor", seed, video_format) for seed in seeds]
    if missing := [seed for seed, path in zip(seeds, paths, strict=True) if not path.is_file()]:
        try:
            with settings_kept():
                film_episodes(
                    missing,
                    agent="actor",
                    make_task=task_factory(config),
                    vision=make_vision(config),
                    load_interpreter=lambda actor: load_interpreter(config, actor.world_model, actor.spec, run_folder),
                    make_policy=make_policy,
                    make_scenario=make_scenario,
                    folder=folder,
                    video_format=video_format,
                )
        except (OSError, NothingRenders) as error:
            print(f"no films: {' '.join(str(error).split())}")
            return []
    if paths:
        print(f"films: {', '.join(map(str, paths))}")
    return paths


def fingerprint(config: Config, checkpoint_sha256: str) -> str:
    """Returns a hash of all that the record of an episode depends on, our own code included."""
    plain = config.plain()
    content = {
        "checkpoint": checkpoint_sha256,
        "choices": plain["choices"],
        "values": {key: it for key, it in flatten(plain["values"]).items() if binding(key) is not Binding.FREE},
        "drawn by": vision.backends if (vision := make_vision(config)) else (),
        "versions": package_versions(),
        "sources": _sources_sha256(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@cache
def _sources_sha256() -> str:
    """Returns the hash of everything in our packages that a record depends on."""
    digest = hashlib.sha256()
    for package in _SOURCES:
        root = Path(str(files(package)))
        for path in sorted([*root.rglob("*.py"), *root.rglob("*.xml")]):
            if path.is_relative_to(root / _LOOKED_AT):
                continue
            digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()


@cache
def package_versions() -> dict[str, str]:
    """Returns the versions that a results file names."""
    return {package: version(package) for package in _PACKAGES}
