"""jepa-mpc latency: tell by recordings of a robot how many control steps late its actions take effect.

The world model of a finished run says which shift of the actions explains best what was seen after them. The agent of
that run acts in time again when it is told: actor.latency=N.

usage: jepa-mpc latency run=DIR data=DIR [max_latency=N] [output=DIR]
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from agent.evaluation.latency import RESULTS_FILE, estimate_latency, format_latency, make_latency_results
from agent.evaluation.results import write_results
from agent.host import own_settings
from agent.learning.experience import embed_episodes
from agent.run.config.composing import Changes, ConfigError
from agent.run.config.saved import save_config
from agent.run.stages.evaluate import package_versions
from agent.run.stages.finished_run import compose_on_run, findings_folder
from agent.run.stages.loading import checkpoint_path, load_modules
from agent.run.stages.lock import locked
from envs.episodes.episode import open_dataset
from world_model.training.checkpoint import file_sha256

SECTION = "latency"
_OF_THE_ROBOT = ("sensors", "actions", "control_dt")  # of what else a task is made matters nothing here


@dataclass(frozen=True)
class LatencyFound:
    """How late a robot is.

    Attributes:
        folder: Where it was written down.
        results: What latency.json holds.
    """

    folder: Path
    results: Mapping[str, Any] = field(repr=False)

    @property
    def latency(self) -> int:
        """Control steps from an action to its effect."""
        return int(self.results["latency"])

    @property
    def report(self) -> str:
        """The table of the latencies that were tried."""
        return format_latency(self.results)


def main(changes: Changes) -> int:
    """Runs the command."""
    find_latency(changes)
    return 0


def find_latency(changes: Changes) -> LatencyFound:
    """Finds what is asked for."""
    config, run_folder = compose_on_run(changes, command=SECTION, section=SECTION)
    values = config.values.latency
    if values.data is None:
        raise ConfigError(
            "latency needs the folder of recorded episodes, as in `jepa-mpc latency run=runs/push data=runs/late_robot`"
        )
    dataset = open_dataset(Path(values.data))
    output = findings_folder(config, run_folder, default="latency")
    with own_settings():
        modules = load_modules(config, checkpoint_path(run_folder))
        for key, (there, here) in modules.spec.differences(dataset.manifest.env).items():
            if key in _OF_THE_ROBOT:
                raise ConfigError(
                    f"data must be episodes of the robot that the run was trained on, {modules.spec.task_id} with "
                    f"{key}={there}, got {key}={here}"
                )
        with torch.no_grad():
            experience = embed_episodes(modules.world_model, dataset)
            estimate = estimate_latency(modules.world_model, experience, max_latency=values.max_latency)
    results = make_latency_results(
        {
            "env": config.choices["env"],
            "observation": config.choices["observation"],
            "checkpoint": {"sha256": file_sha256(checkpoint_path(run_folder))},
            "data": dataset.fingerprint,
            "versions": package_versions(),
        },
        estimate,
    )
    print(format_latency(results))
    with locked(output):
        save_config(config, output)
        print(f"results: {write_results(results, output, file=RESULTS_FILE)}")
    return LatencyFound(folder=output, results=results)
