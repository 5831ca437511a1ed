"""jepa-mpc compare-planners: run every planner with the world model of a finished run, on the same episodes.

Each planner acts at each of several budgets of evaluations a planning step. Prints success, evaluations and latency
side by side, and draws success against evaluations. The run's own planner keeps the run's values, any other one has
those that the run's recipe gives it. An interrupted comparison goes on where it was. Records of other planners, budgets
and episodes are kept for when they are asked for again; table and picture show what this call names, and lie beside
those of another split or number of episodes, under names that say so.

usage: jepa-mpc compare-planners run=DIR [planners=[NAME,...]] [budgets=[N,...,null]] [num_episodes=N]
                                 [split=validation|evaluation] [num_workers=W] [output=DIR] [key=value ...]
"""

import copy
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from agent.evaluation.comparison import COMPARISON_FILE, Setting, format_comparison, make_comparison
from agent.evaluation.episodes import EvaluatedEpisode, evaluate_episode
from agent.evaluation.evaluate import EpisodeTask, evaluate
from agent.evaluation.protocol import PROTOCOL
from agent.evaluation.results import free_names, write_results
from agent.evaluation.scenarios.types import Scenario
from agent.evaluation.seeds import Entries
from agent.evaluation.statistics import success_rate
from agent.host import settings_kept
from agent.run.config.composing import Changes, Config, ConfigError, group_names, read_changes
from agent.run.config.saved import CONFIG_FILE, continues, save_config
from agent.run.config.schema import BUDGETS
from agent.run.stages.evaluate import fingerprint, package_versions
from agent.run.stages.finished_run import compose_on_run, findings_folder, load_modules_for, with_planner
from agent.run.stages.loading import build_actor, checkpoint_path, load_modules
from agent.run.stages.lock import locked
from agent.run.stages.looks import count_looks
from agent.run.stages.scenario import scenario_maker
from agent.run.stages.validation import validate
from agent.run.stages.vision import configured_task, make_vision, task_factory
from envs.types import Policy, Task
from jepa_mpc.errors import is_refusal
from world_model.training.checkpoint import file_sha256

SECTION = "compare"
PLOT_FILE = "comparison.png"
_COMMAND = "compare-planners"
_NUM_TRIALS = 3  # planning steps from which the time of a comparison is estimated


@dataclass(frozen=True)
class Comparison:
    """Planners side by side.

    Attributes:
        folder: Where it was written down.
        results: What comparison.json holds.
        picture: Success against evaluations.
    """

    folder: Path
    results: Mapping[str, Any] = field(repr=False)
    picture: Path

    @property
    def report(self) -> str:
        """The table of the planners."""
        return format_comparison(self.results)


def main(changes: Changes) -> int:
    """Runs the command."""
    compare_planners(changes)
    return 0


def compare_planners(changes: Changes) -> Comparison:
    """Compares what is asked for."""
    changes = read_changes(changes)
    _refuse_ambiguous(changes)
    config, run_folder = compose_on_run(changes, command=_COMMAND, section=SECTION)
    if config.values.actor.learn_online:
        raise ConfigError(f"{_COMMAND} compares planners with the same critics: set actor.learn_online=false")
    planners, budgets = _planners(config), _budgets(config)
    output = findings_folder(config, run_folder, default="compare_planners")
    validate(config, load_modules(config, checkpoint_path(run_folder)).spec)
    with locked(output):
        if not continues(config, output):
            save_config(config, output)
        return compare(config, run_folder, output, planners=planners, budgets=budgets)


@dataclass(frozen=True)
class PlannerFactory:
    """Makes the same agent with different planners, in whichever process.

    Attributes:
        run_folder: Where the trained model lies.
        configs: Of each agent, by its name.
    """

    run_folder: Path
    configs: Mapping[str, Config]

    def __call__(self, name: str, task: Task) -> Policy:
        """Returns the agent of that name."""
        torch.set_num_threads(1)  # the last bits of a matrix product depend on it
        config = self.configs[name]
        return build_actor(config, load_modules_for(task, config, self.run_folder))


def compare(
    config: Config, run_folder: Path, output: Path, *, planners: Sequence[str], budgets: Sequence[int | None]
) -> Comparison:
    """Runs every planner at every budget, prints the table, and writes records, comparison and picture to `output`."""
    values = config.values.compare
    entries = Entries(values.split, 0, values.num_episodes)
    seeds = entries.seeds
    checkpoint_sha256 = file_sha256(checkpoint_path(run_folder))
    own_budgets = dict.fromkeys(BUDGETS)
    configs = {name: with_planner(config, name, own_budgets) for name in group_names()["planner"]}
    settings = [Setting(planner, budget) for planner in planners for budget in budgets]
    make_scenario = scenario_maker(config)
    factory = PlannerFactory(run_folder, {str(s): _with_budget(configs[s.planner], s.budget) for s in settings})
    with closing(configured_task(config)) as task, settings_kept():
        scenario = make_scenario(task.spec)
        seconds = _try_all(settings, factory, task, scenario, seeds[0])
    print(
        f"{len(planners)} planners x {len(budgets)} budgets x {len(seeds)} episodes with {values.num_workers} workers, "
        f"writing to {output}: about {seconds * len(seeds) / values.num_workers / 60:.1f} min, "
        "less what an earlier run of this command has finished"
    )
    records = _fingerprint(configs.values(), checkpoint_sha256)
    looks = count_looks(run_folder, entries, fingerprint=records)
    episodes: dict[Setting, list[EvaluatedEpisode]] = {setting: [] for setting in settings}
    by_name = {str(setting): setting for setting in settings}
    finished = evaluate(
        [EpisodeTask(name, seed) for name in by_name for seed in seeds],
        make_task=task_factory(config),
        vision=make_vision(config),
        make_policy=factory,
        make_scenario=make_scenario,
        num_workers=values.num_workers,
        fingerprint=records,
        output=output,
    )
    for done, episode in finished:
        setting = by_name[done.agent]
        episodes[setting].append(episode)
        if len(episodes[setting]) == len(seeds):
            success = success_rate([episode.record.success_at_end for episode in episodes[setting]])
            place = settings.index(setting) + 1
            tqdm.write(f"[{place}/{len(settings)}] {setting}: {100 * success.rate:.1f} % at the end")
    description = {
        "env": config.choices["env"],
        "observation": config.choices["observation"],
        "scenario": config.choices["scenario"],
        "seed": config.values.seed,
        "split": values.split,
        "evaluation_looks": looks,
        "protocol": PROTOCOL,
        "checkpoint": {"sha256": checkpoint_sha256},
        "planners": {name: configs[name].named("planner")["values"] for name in planners},
    }
    own = str(config.choices["planner"])
    comparison = make_comparison(
        description,
        episodes,
        reference=own if own in planners else planners[0],
        versions=package_versions(),
    )
    print(format_comparison(comparison))
    comparison_name, plot_name, config_name = free_names(
        output,
        (COMPARISON_FILE, PLOT_FILE, CONFIG_FILE),
        entries=entries,
        entries_of=lambda there: Entries(there["split"], 0, len(there["settings"][0]["episodes"])),
    )
    save_config(config, output, file=config_name)
    print(f"comparison: {write_results(comparison, output, file=comparison_name)}")
    from agent.evaluation.comparison_plot import write_plot

    picture = write_plot(comparison, output / plot_name)
    print(f"picture: {picture}")
    return Comparison(folder=output, results=comparison, picture=picture)


def _refuse_ambiguous(changes: Mapping[str, Any]) -> None:
    """Refuses what would change one planner, or one budget, among several."""
    for key, value in changes.items():
        if key == "planner" and not isinstance(value, dict):
            raise ConfigError(
                f"planner={value} names one planner: {_COMMAND} takes those to compare, as in planners=[cem,mppi]"
            )
        if key.split(".")[0] == "planner":
            raise ConfigError(
                f"{key}={value} is ambiguous among several planners: {_COMMAND} takes the run's own planner with the "
                "run's values and the others as they are shipped; `jepa-mpc evaluate` measures one planner with other "
                "values"
            )
        if key in BUDGETS:
            raise ConfigError(
                f"{key}={value} is one budget: {_COMMAND} takes those to compare at, as in budgets=[64,256,null]"
            )


def _planners(config: Config) -> list[str]:
    names, chosen = group_names()["planner"], config.values.compare.planners
    if chosen is None:
        return names
    if not chosen or len(set(chosen)) < len(chosen):
        raise ConfigError(
            f"compare.planners must be a list of different planners, as in [cem,mppi], or null for all, got {chosen}"
        )
    for name in chosen:
        if name not in names:
            raise ConfigError(f"there is no planner '{name}'; there are {', '.join(names)}")
    return list(chosen)


def _budgets(config: Config) -> list[int | None]:
    budgets = list(config.values.compare.budgets)
    if not budgets or len(set(budgets)) < len(budgets) or any(budget is not None and budget < 1 for budget in budgets):
        raise ConfigError(
            "compare.budgets must be a list of different whole numbers of at least 1, or null for the planner's own "
            f"number, as in [64,256,null], got {budgets}"
        )
    return sorted(budgets, key=lambda budget: float("inf") if budget is None else budget)


def _with_budget(config: Config, budget: int | None) -> Config:
    values = copy.deepcopy(config.values)
    values.configurator.num_evaluations = budget
    return Config(choices=config.choices, values=values)


def _fingerprint(configs: Iterable[Config], checkpoint_sha256: str) -> str:
    """Returns a hash of all that the records of all planners depend on, so that any choice of them shares records."""
    return hashlib.sha256("".join(fingerprint(config, checkpoint_sha256) for config in configs).encode()).hexdigest()


def _try_all(settings: Sequence[Setting], factory: PlannerFactory, task: Task, scenario: Scenario, seed: int) -> float:
    """Lets each planner act for a moment, so that none is found unable after hours of work.

    Returns:
        The time of one episode in each setting, s, about.

    Raises:
        ConfigError: A planner cannot plan in this run.
    """
    total, unable = 0.0, dict[Setting, ValueError]()
    for setting in settings:
        try:
            policy = factory(str(setting), task)
            repeat = factory.configs[str(setting)].values.world_model.action_repeat
            episode = evaluate_episode(task, policy, seed=seed, num_steps=_NUM_TRIALS * repeat, scenario=scenario)
        except ValueError as error:
            if not is_refusal(error):
                raise
            unable[setting] = error
            continue
        latencies = episode.planning_latencies_ms or episode.deciding_latencies_ms  # where all react, nobody plans
        total += float(np.median(latencies or [0.0])) / 1e3 * scenario.num_steps / repeat
    if unable:
        (setting, refusal), refused = next(iter(unable.items())), {it.planner for it in unable}
        able = dict.fromkeys(it.planner for it in settings if it.planner not in refused)
        remedy = f"; those that can are planners=[{','.join(able)}]" if able else ""
        raise ConfigError(f"the planner {setting} cannot plan in this run: {refusal}{remedy}")
    return total
