"""What a planning loop costs beside the bare rollouts of the same candidates.

`python -m benchmarks.planners`, from the root of the checkout, prints for each planner the least time of a plan over
that of pricing its candidates alone, in interleaved runs on one thread: 256 candidates, 10 steps, 5 iterations. A plain
MLP stands in for the dynamics.
"""

import time
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from benchmarks.objectives import Recorder
from planners.cem import CEM
from planners.types import ActionBounds, Budget, Objective, Planner, Score

NUM_RUNS = 20
HORIZON = 10
ACTION_DIM = 3
EMBED_DIM = 32
HIDDEN_DIM = 256

PLANNERS: dict[str, Planner] = {
    "cem": CEM(
        num_samples=256,
        num_iterations=5,
        num_elites=24,
        init_std=0.7,
        warm_std=0.2,
        min_std=0.02,
        momentum=0.1,
        noise_exponent=0.0,
        num_knots=None,
        return_mean=False,
    )
}


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    objective = distance_objective()
    print(f"{'planner':10} {'plan, ms':>10} {'rollouts, ms':>13} {'ratio':>7}")
    for name, planner in PLANNERS.items():
        plan_time, rollout_time = compare(planner, objective)
        print(f"{name:10} {1e3 * plan_time:10.2f} {1e3 * rollout_time:13.2f} {plan_time / rollout_time:7.3f}")


def compare(planner: Planner, objective: Objective) -> tuple[float, float]:
    """Returns the least time of a plan and of its bare rollouts, s."""
    bounds = ActionBounds(low=-torch.ones(ACTION_DIM), high=torch.ones(ACTION_DIM))
    state = planner.init(bounds, batch_size=1, horizon=HORIZON)
    noise = planner.sample_noise([Generator().manual_seed(0)], bounds=bounds, horizon=HORIZON)

    def plan(objective: Objective) -> None:
        planner.plan(objective, state, noise=noise, bounds=bounds, budget=Budget())

    recorder = Recorder(objective)
    plan(recorder)

    @torch.no_grad()
    def price_candidates() -> None:
        for candidates in recorder.candidates:
            objective(candidates)

    times = [(seconds(lambda: plan(objective)), seconds(price_candidates)) for _ in range(NUM_RUNS)]
    plan_times, rollout_times = zip(*times, strict=True)
    return min(plan_times), min(rollout_times)


def distance_objective() -> Objective:
    """Returns the summed squared distance to a goal embedding under random residual dynamics."""
    dynamics = nn.Sequential(
        nn.Linear(EMBED_DIM + ACTION_DIM, HIDDEN_DIM),
        nn.GELU(),
        nn.Linear(HIDDEN_DIM, HIDDEN_DIM),
        nn.GELU(),
        nn.Linear(HIDDEN_DIM, EMBED_DIM),
    ).eval()
    start, goal = torch.randn(2, EMBED_DIM)

    def price(actions: Tensor) -> Score:
        embedding = start.expand(*actions.shape[:2], EMBED_DIM)
        cost = torch.zeros(actions.shape[:2])
        for action in actions.unbind(dim=2):
            embedding = embedding + dynamics(torch.cat([embedding, action], dim=2))
            cost = cost + (embedding - goal).square().mean(dim=2)
        return Score(cost=cost, violations=cost.new_zeros(*cost.shape, 0))

    return price


def seconds(run: Callable[[], None]) -> float:
    """Returns how long one call takes, s."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
