"""Is all sound? Known answers, and a small run that has to reach: `python -m benchmarks.canary output=runs/canary`.

A line for each check, and exit code 1 where one fails. What was measured lies in OUTPUT/canary.json, with the traceback
of what could not be. It takes less than three minutes on two cores.
"""

import json
import sys
from pathlib import Path
from time import perf_counter

import torch

from benchmarks.arguments import call, read_settings
from benchmarks.canary import acting, environment, learned, planning
from benchmarks.canary.check import FINDINGS, Check, Outcome, judge_all
from benchmarks.canary.small_run import SmallRun
from jepa_mpc.errors import UserError
from jepa_mpc.files import write_whole


def main() -> None:
    start = perf_counter()
    settings = read_settings({"output": "???", "seed": 0})
    output = Path(settings.output)
    if output.exists():
        raise UserError(f"output must be a new folder, '{output}' is there: a canary goes on with nothing")
    torch.set_num_threads(1)
    outcomes = judge_everything(output, int(settings.seed))
    write_whole(output / FINDINGS, json.dumps([it.plain() for it in outcomes], indent=1) + "\n")
    num_failed = sum(not it.passed for it in outcomes)
    print(f"{len(outcomes)} checks, {num_failed} failed, in {perf_counter() - start:.0f} s: {output / FINDINGS}")
    if num_failed:
        sys.exit(1)


def judge_everything(output: Path, seed: int) -> list[Outcome]:
    """Judges what is known without learning, then a small run, and then what is known of it."""
    outcomes = judge_all([*environment.checks(seed), *planning.checks(seed)])
    runs: list[SmallRun] = []

    def finished() -> float:
        runs.append(SmallRun.make(output / "run", seed))
        return 1.0

    outcomes += judge_all([Check("a small run comes to its end", finished, least=1, most=1)])
    for run in runs:
        outcomes += judge_all([*learned.checks(run), *acting.checks(run)])
    return outcomes


if __name__ == "__main__":
    call(main)
