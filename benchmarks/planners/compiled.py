"""What compiling a whole planning call is worth, on the GPU where there is one, else on the CPU.

`python -m benchmarks.planners.compiled` prints the least time of 20 interleaved plans, eager and by `torch.compile` (on
a GPU captured as CUDA graphs), for 256, 1,024 and 4,096 candidates an iteration: 10 steps, 5 iterations, on an MLP that
stands in for a world model. The loop of a planner has no branch that depends on data, so it compiles as one graph.
"""

import time
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor
from tqdm import tqdm

from benchmarks.arguments import call
from benchmarks.planners.loops import ACTION_DIM, HORIZON, NUM_ITERATIONS, distance_objective
from benchmarks.planners.shipped import build, planner_configs
from benchmarks.tables import table
from planners.types import ActionBounds, Budget

PLANNERS = ("cem", "icem", "mppi")
NUM_SAMPLES = (256, 1_024, 4_096)
NUM_RUNS = 20


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.set_default_device(device)
    rows = []
    for name in tqdm(PLANNERS, desc="planners"):
        for num_samples in NUM_SAMPLES:
            eager = planning(name, num_samples)
            compiled = torch.compile(eager, fullgraph=True, mode="reduce-overhead")
            eager_ms, compiled_ms = least_milliseconds([eager, compiled])
            rows.append([name, f"{num_samples:,}", f"{eager_ms:.2f}", f"{compiled_ms:.2f}"])
    what = torch.cuda.get_device_name() if device.type == "cuda" else "CPU, one thread; there is no CUDA GPU here"
    print(f"Least time of a plan, ms; {HORIZON} steps, {NUM_ITERATIONS} iterations; on {what}.\n")
    print(table(["planner", "candidates", "eager, ms", "compiled, ms"], rows))


def planning(name: str, num_samples: int) -> Callable[[], Tensor]:
    """Returns a cold call of a planner with so many candidates an iteration."""
    planner = build(planner_configs()[name], num_samples=num_samples, num_iterations=NUM_ITERATIONS)
    objective = distance_objective()
    bounds = ActionBounds(low=-torch.ones(ACTION_DIM), high=torch.ones(ACTION_DIM))
    state = planner.init(bounds, batch_size=1, horizon=HORIZON)
    noise = planner.sample_noise([Generator().manual_seed(0)], bounds=bounds, horizon=HORIZON)
    budget = Budget()

    def plan() -> Tensor:
        return planner.plan(objective, state, noise=noise, bounds=bounds, budget=budget)[0].actions

    return plan


def least_milliseconds(runs: Sequence[Callable[[], Tensor]]) -> list[float]:
    """Returns the least time of each, in interleaved runs, after a few to warm up."""
    times: list[list[float]] = [[] for _ in runs]
    for repeat in range(3 + NUM_RUNS):
        for run, elapsed in zip(runs, times, strict=True):
            start = time.perf_counter()
            run().cpu()  # waits for the GPU
            if repeat >= 3:
                elapsed.append(1e3 * (time.perf_counter() - start))
    return [min(elapsed) for elapsed in times]


if __name__ == "__main__":
    call(main)
