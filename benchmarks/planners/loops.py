"""What a planning loop costs beside the bare rollouts of the same candidates, and beside the loops of its peers.

`python -m benchmarks.planners`, from the root of the checkout, on one thread, on an MLP that stands in for a world
model: 10 steps, and 256 candidates x 5 iterations where a planner has such parameters. Runs take turns, 60 of each, in
one order and then in the other; a ratio is that within a turn, its median and quartiles over the turns. Time is the
thread's own on its core, so that the ratio holds on a busy machine too.

The first table: a `plan` call over pricing exactly its candidates and nothing else, in the same portions, with
gradients where the planner takes them. The second: a peer's loop on the same model and cost, with as many candidates,
noise included on both sides, since the peers draw theirs in the loop.
"""

import contextlib
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from tqdm import tqdm

from benchmarks.arguments import call
from benchmarks.planners.dynamics import RolloutObjective
from benchmarks.planners.peers import load_pytorch_mppi, swm_cem
from benchmarks.planners.shipped import build, planner_configs, unit_box
from benchmarks.tables import table
from planners.types import Budget, Objective, Planner, Score, TrajectoryObjective

NUM_TURNS = 60
NUM_SAMPLES = 256
NUM_ITERATIONS = 5
NUM_ELITES = 24
HORIZON = 10
ACTION_DIM = 3
EMBED_DIM = 32
HIDDEN_DIM = 256

Run = Callable[[], object]
Result = TypeVar("Result", Score, Tensor)


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    objective = distance_objective()
    configs = planner_configs()
    rows = []
    for name in tqdm(configs, desc="planners"):
        planner = build(configs[name], num_samples=NUM_SAMPLES, num_iterations=NUM_ITERATIONS)
        plan, candidates = planning(planner), Candidates(objective)
        plan(candidates)
        plan_with_noise = partial(planning(planner, draw=True), objective)
        times = take_turns([partial(plan, objective), plan_with_noise, candidates.price_again])
        bare = times[:, 2]
        rows.append([name, milliseconds(bare), ratio(times[:, 0], bare), ratio(times[:, 1], bare)])
    print(f"Medians (quartiles) of {NUM_TURNS} turns, one thread, {HORIZON} steps.\n")
    print(table(["planner", "bare rollouts, ms", "plan over that", "and drawing its noise"], rows))

    rows = []
    for name, peer, make_peer in (
        ("cem", "stable-worldmodel's CEMSolver", swm_loop),
        ("mppi", "pytorch-mppi's MPPI", pytorch_mppi_loop),
    ):
        try:
            theirs = make_peer(objective)
        except ImportError as error:
            print(f"\n{peer} cannot be imported ({error}): pip install -e '.[peers]'")
            continue
        sizes = {"num_samples": NUM_SAMPLES, "num_iterations": NUM_ITERATIONS, "num_elites": NUM_ELITES}
        plan = planning(build(configs[name], **sizes), draw=True)
        with contextlib.redirect_stdout(io.StringIO()):
            ours_times, theirs_times = take_turns([partial(plan, objective), theirs]).T
        times = [milliseconds(ours_times), milliseconds(theirs_times), ratio(ours_times, theirs_times)]
        rows.append([f"{name} against {peer}", *times])
    if rows:
        print(f"\n{NUM_SAMPLES} candidates x {NUM_ITERATIONS} iterations, noise drawn within.\n")
        print(table(["loop", "ours, ms", "theirs, ms", "ratio"], rows))


def planning(planner: Planner[Any], *, draw: bool = False) -> Callable[[Objective], object]:
    """Returns a cold call of a planner; with `draw` it draws its noise anew."""
    bounds = unit_box(ACTION_DIM)
    state = planner.init(bounds, batch_size=1, horizon=HORIZON)
    generator = Generator().manual_seed(0)

    def sample() -> Tensor:
        return planner.sample_noise([generator], bounds=bounds, horizon=HORIZON)

    noise = sample()

    def plan(objective: Objective) -> object:
        drawn = sample() if draw else noise
        return planner.plan(objective, state, noise=drawn, bounds=bounds, budget=Budget())

    return plan


@dataclass(frozen=True)
class Candidates:
    """An objective that remembers each call to it, so that the same calls can be made again without a planner."""

    objective: TrajectoryObjective
    calls: list[tuple[Callable[..., Any], tuple[Tensor, ...]]] = field(default_factory=list)

    def __call__(self, actions: Tensor) -> Score:
        return self._call(self.objective, actions)

    def rollout(self, actions: Tensor) -> Tensor:
        return self._call(self.objective.rollout, actions)

    def predict(self, states: Tensor, actions: Tensor) -> Tensor:
        return self._call(self.objective.predict, states, actions)

    def price(self, states: Tensor, actions: Tensor) -> Score:
        return self._call(self.objective.price, states, actions)

    def price_again(self) -> None:
        """Makes all calls again, and differentiates where that was asked for."""
        for function, inputs in self.calls:
            wanted = [tensor for tensor in inputs if tensor.requires_grad]
            with torch.set_grad_enabled(bool(wanted)):
                result = function(*inputs)
                if wanted:
                    total = (result.cost if isinstance(result, Score) else result).sum()
                    torch.autograd.grad(total, wanted, allow_unused=True)  # a cost may ignore actions

    def _call(self, function: Callable[..., Result], *inputs: Tensor) -> Result:
        copies = [tensor.detach().clone().requires_grad_(tensor.requires_grad) for tensor in inputs]
        self.calls.append((function, tuple(copies)))
        return function(*inputs)


def take_turns(runs: Sequence[Run]) -> NDArray[np.float64]:
    """Returns how long each run takes in each turn, s, `[NUM_TURNS, num_runs]`."""
    for run in runs:
        run()
    turns = []
    for turn in range(NUM_TURNS):
        order = range(len(runs)) if turn % 2 else reversed(range(len(runs)))
        times = {index: seconds(runs[index]) for index in order}
        turns.append([times[index] for index in range(len(runs))])
    return np.array(turns)


def milliseconds(times: NDArray[np.float64]) -> str:
    """Returns the median of times in s, in ms."""
    return f"{1e3 * np.median(times):.2f}"


def ratio(times: NDArray[np.float64], others: NDArray[np.float64]) -> str:
    """Returns the median of a ratio over the turns, and its quartiles."""
    low, median, high = np.quantile(times / others, (0.25, 0.5, 0.75))
    return f"{median:.3f} ({low:.3f} to {high:.3f})"


def seconds(run: Run) -> float:
    """Returns the time on its core that one call takes, s."""
    start = time.thread_time()
    run()
    return time.thread_time() - start


def distance_objective() -> RolloutObjective:
    """Returns the summed squared distance to a goal embedding under random residual dynamics."""
    change = nn.Sequential(
        nn.Linear(EMBED_DIM + ACTION_DIM, HIDDEN_DIM),
        nn.GELU(),
        nn.Linear(HIDDEN_DIM, HIDDEN_DIM),
        nn.GELU(),
        nn.Linear(HIDDEN_DIM, EMBED_DIM),
    )
    change.eval().requires_grad_(False)
    start, goal = torch.randn(2, EMBED_DIM)
    return RolloutObjective(
        start=start[None],
        step=lambda embedding, action: embedding + change(torch.cat([embedding, action], dim=-1)),
        step_cost=lambda embedding, _: (embedding - goal).square().mean(dim=-1),
    )


def swm_loop(objective: RolloutObjective) -> Run:
    """Returns a call of stable-worldmodel's CEM."""
    return swm_cem(
        objective,
        horizon=HORIZON,
        action_dim=ACTION_DIM,
        num_samples=NUM_SAMPLES,
        num_iterations=NUM_ITERATIONS,
        num_elites=NUM_ELITES,
    )


def pytorch_mppi_loop(objective: RolloutObjective) -> Run:
    """Returns as many commands of pytorch-mppi as we do iterations; it does one a command."""
    controller = load_pytorch_mppi()(
        dynamics=objective.step,
        running_cost=objective.step_cost,
        nx=EMBED_DIM,
        noise_sigma=torch.eye(ACTION_DIM),
        num_samples=NUM_SAMPLES,
        horizon=HORIZON,
        u_min=-torch.ones(ACTION_DIM),
        u_max=torch.ones(ACTION_DIM),
        U_init=torch.zeros(HORIZON, ACTION_DIM),
    )

    @torch.no_grad()
    def run() -> None:
        for _ in range(NUM_ITERATIONS):
            controller.command(objective.start[0], shift_nominal_trajectory=False)

    return run


if __name__ == "__main__":
    call(main)
