"""All that the command line does, from Python: the same commands, the same keys, the same folders.

A keyword is a key of the config or chooses of a group; a mapping changes keys below it. What has a dot goes in by `**`:

    run = api.run(env="reach", output="runs/reach", seed=1, collect={"num_episodes": 1000}, planner="icem")
    quick = api.evaluate(run=run.folder, planner="icem", num_episodes=50, **{"planner.num_samples": 32})
    quick.results["agents"]["actor"]["success_at_end"]
    quick.agent.act(observation)

Each call says on the way what it does, goes on where an interrupted one stopped, and returns what it came to. Worker
processes share nothing with the caller: neither a notebook nor a script needs `if __name__ == "__main__"`.

What the caller does wrong raises a `jepa_mpc.errors.UserError`, as on the command line in one sentence.
"""

from pathlib import Path
from typing import Any

from agent.run.stages.benchmark import Benchmark, run_benchmark
from agent.run.stages.collect import Collection, collect_episodes
from agent.run.stages.compare import Pairs, compare_evaluations
from agent.run.stages.compare_planners import Comparison
from agent.run.stages.compare_planners import compare_planners as compare_planners_of_run
from agent.run.stages.evaluate import Evaluation, evaluate_agent
from agent.run.stages.latency import LatencyFound, find_latency
from agent.run.stages.loading import load_agent
from agent.run.stages.run import Run, run_stages
from agent.run.stages.surprise import Surprise, measure_surprise
from agent.run.stages.train import Training, train_agent

__all__ = [
    "Benchmark",
    "Collection",
    "Comparison",
    "Evaluation",
    "LatencyFound",
    "Pairs",
    "Run",
    "Training",
    "benchmark",
    "collect",
    "compare",
    "compare_planners",
    "evaluate",
    "latency",
    "load_agent",
    "run",
    "surprise",
    "train",
]


def run(**keys: Any) -> Run:
    """Collects, trains and evaluates, as `jepa-mpc run`."""
    return run_stages(keys)


def collect(**keys: Any) -> Collection:
    """Records episodes, as `jepa-mpc collect`; a key of the section collect needs no prefix."""
    return collect_episodes(keys)


def train(**keys: Any) -> Training:
    """Trains on recorded episodes, as `jepa-mpc train`: `data` is their folder."""
    return train_agent(keys)


def evaluate(**keys: Any) -> Evaluation:
    """Measures the success of a finished run, as `jepa-mpc evaluate`: `run` is its folder."""
    return evaluate_agent(keys)


def compare_planners(**keys: Any) -> Comparison:
    """Runs planners on the same episodes, as `jepa-mpc compare-planners`: `run` is the folder of a finished run."""
    return compare_planners_of_run(keys)


def latency(**keys: Any) -> LatencyFound:
    """Tells how late a robot is, as `jepa-mpc latency`: `run` is the folder of a finished run, `data` of episodes."""
    return find_latency(keys)


def surprise(**keys: Any) -> Surprise:
    """Tells what a world model is surprised by, as `jepa-mpc surprise`: `run` is the folder of a finished run."""
    return measure_surprise(keys)


def benchmark(**keys: Any) -> Benchmark:
    """Puts tasks, agents and trainings in one table, as `jepa-mpc benchmark`: `output` is its folder."""
    return run_benchmark(keys)


def compare(first: Path | str, second: Path | str, *, output: Path | str) -> Pairs:
    """Compares two evaluations of the same episodes, as `jepa-mpc compare`."""
    return compare_evaluations(Path(first), Path(second), Path(output))
