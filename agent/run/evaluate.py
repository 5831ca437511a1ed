"""jepa-mpc evaluate: measure the success of a finished run, beside random, zero and expert.

The run's own config is the base, the command line lies on top. Records depend on neither the order of the episodes nor
the number of workers. Exits with 1 where fail_under is given and the lower bound of success at the end is below it.

usage: jepa-mpc evaluate run=DIR [planner=NAME] [num_episodes=N] [num_workers=W] [fail_under=R] [output=DIR]
                         [key=value ...]
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from agent.evaluation.baselines import BASELINES, make_baseline
from agent.evaluation.evaluate import EpisodeTask, evaluate
from agent.evaluation.oracle import OracleModel
from agent.evaluation.results import format_results, make_results, write_results
from agent.evaluation.seeds import episode_seeds
from agent.evaluation.video import film_episodes
from agent.run.config import Config, ConfigError, compose_config
from agent.run.loading import build_actor, checkpoint_path, load_world_model
from agent.run.saved_config import CONFIG_FILE, check_same_run, read_config, save_config
from envs.mujoco_env import MujocoEnv
from envs.rollout import Policy
from world_model.checkpoint import file_sha256, load_checkpoint

SECTION = "evaluate"
_PACKAGES = ("jepa-mpc", "gymnasium", "mujoco", "numpy", "torch")


def main(overrides: Sequence[str]) -> int:
    """Runs the command."""
    run_folder = next(
        (Path(text.partition("=")[2]) for text in overrides if text.startswith(("run=", "evaluate.run="))), None
    )
    if run_folder is None:
        raise ConfigError("evaluate needs the folder of a finished run, as in `jepa-mpc evaluate run=runs/demo`")
    config = compose_config(overrides, section=SECTION, base=_without_output(read_config(run_folder)))
    named = config.values.output
    output = Path(str(named)) if named is not None else run_folder / f"evaluate_{config.choices['planner']}"
    if output.resolve() == run_folder.resolve():
        raise ConfigError(f"output must be another folder than the run's own, '{run_folder}'")
    if (output / CONFIG_FILE).exists():
        check_same_run(config, output)
    print(f"writing to {output}")
    return evaluate_run(config, run_folder, output)


def evaluate_run(config: Config, run_folder: Path, output: Path) -> int:
    """Evaluates the run in its folder, prints the table, and writes results and films to `output`.

    Returns:
        The exit code.
    """
    values = config.values.evaluate
    for key, lowest in (("num_workers", 1), ("oracle", 0), ("videos", 0)):
        if values[key] < lowest:
            raise ConfigError(f"evaluate.{key} must be at least {lowest}, got {values[key]}")
    if values.fail_under is not None and not (
        isinstance(values.fail_under, int | float) and 0 <= values.fail_under <= 1
    ):
        raise ConfigError(f"evaluate.fail_under must be a rate in 0..1 or null, got {values.fail_under!r}")
    seeds = _seeds(values.split, values.num_episodes)
    oracle_seeds = _seeds(values.split, values.oracle) if values.oracle else []
    save_config(config, output)

    make_policy = PolicyFactory(run_folder=run_folder, config=config.plain())
    checkpoint = checkpoint_path(run_folder)
    step, last_step = load_checkpoint(checkpoint).metadata.training_step, config.values.training.num_steps
    if step < last_step:
        print(f"note: the training in {run_folder} was interrupted at step {step} of {last_step}")
    checkpoint_sha256 = file_sha256(checkpoint)
    env_id = str(config.values.env.env_id)
    agents = ["actor", *BASELINES]
    tasks = [EpisodeTask("oracle", seed) for seed in oracle_seeds]
    tasks += [EpisodeTask(agent, seed) for agent in agents for seed in seeds]
    episodes = evaluate(
        tasks,
        env_id=env_id,
        make_policy=make_policy,
        num_workers=values.num_workers,
        fingerprint=_fingerprint(config, checkpoint_sha256),
        output=output,
    )
    description = {
        "env": config.choices["env"],
        "observation": config.choices["observation"],
        "planner": config.choices["planner"],
        "seed": config.values.seed,
        "split": values.split,
        "checkpoint": {"sha256": checkpoint_sha256},
    }
    by_agent = {
        agent: [episode for task, episode in episodes.items() if task.agent == agent]
        for agent in agents + ["oracle"] * bool(oracle_seeds)
    }
    results = make_results(description, by_agent, {package: version(package) for package in _PACKAGES})
    print(format_results(results))
    print(f"results: {write_results(results, output)}")
    _film(seeds[: values.videos], env_id, make_policy, output / "videos")
    low = results["agents"]["actor"]["success_at_end"]["low"]
    if values.fail_under is not None and low < values.fail_under:
        print(f"the lower bound of success at the end, {low:.3f}, is below fail_under={values.fail_under}")
        return 1
    return 0


@dataclass(frozen=True)
class PolicyFactory:
    """Makes the agents of an evaluation, in whichever process.

    Attributes:
        run_folder: Where the trained models lie.
        config: Of the evaluation, as `Config.plain` returned it.
    """

    run_folder: Path
    config: Mapping[str, Any]

    def __call__(self, name: str, env: MujocoEnv) -> Policy:
        """Returns the agent of that name: "actor", "oracle" or a baseline."""
        if name not in ("actor", "oracle"):
            return make_baseline(name, env)
        torch.set_num_threads(1)  # the last bits of a matrix product depend on it
        config = compose_config([], base=self.config)
        world_model, spec = load_world_model(checkpoint_path(self.run_folder))
        if spec != env.description:
            raise ConfigError(
                f"the checkpoint was trained on {spec.env_id} with XML hash {spec.xml_hash[:12]}, "
                f"this is {env.description.env_id} with {env.description.xml_hash[:12]}: train again"
            )
        repeat = world_model.action_repeat
        if name == "actor":
            return build_actor(config, world_model, spec, action_repeat=repeat)
        oracle = OracleModel(world_model=world_model, env=env, simulator=type(env)(), action_repeat=repeat)
        return build_actor(config, oracle, spec, action_repeat=repeat)


def _seeds(split: str, num_episodes: int) -> list[int]:
    try:
        return episode_seeds(split, num_episodes)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _film(seeds: Sequence[int], env_id: str, make_policy: PolicyFactory, folder: Path) -> None:
    if not seeds:
        return
    try:
        paths = film_episodes(seeds, agent="actor", env_id=env_id, make_policy=make_policy, folder=folder)
        print(f"films: {', '.join(map(str, paths))}")
    except RuntimeError as error:
        print(f"no films: {' '.join(str(error).split())}")


def _without_output(saved: dict[str, Any]) -> dict[str, Any]:
    """Returns the base of an evaluation: the run's config, but not the folder that the run went to."""
    return {**saved, "values": {**saved["values"], "output": None}}


def _fingerprint(config: Config, checkpoint_sha256: str) -> str:
    """Returns a hash of all that the record of an episode depends on."""
    plain = config.plain()
    parts = {
        key: value for key, value in plain["values"].items() if key not in ("output", "evaluate", "collect", "train")
    }
    content = {
        "checkpoint": checkpoint_sha256,
        "choices": plain["choices"],
        "values": parts,
        "version": version("jepa-mpc"),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
