"""What every planner of the config group promises."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Generator, Tensor

import configs
from benchmarks.planners import solving
from benchmarks.planners.chain import Chain, late_target, there_and_back
from benchmarks.planners.objectives import hopeless, priced, showing_states
from planners.types import ActionBounds, Budget, Objective, Plan, Planner, Score

YAMLS = sorted((Path(configs.__file__).parent / "planner").glob("*.yaml"))
HORIZON = 3
DISCRETE = {"categorical_cem", "beam_search"}
"""Planners of discrete actions: in a box they plan on a grid, and their own optimum is the best sequence of it."""
FLOOR = {"random_shooting": 1.3}
"""Planners that are a floor to compare with: how far from the optimum they may stay."""
LIMITED_FLOOR = {("random_shooting", late_target): 1.8, ("predictive_sampling", there_and_back): 1.08}
"""The same where the rate is limited: a spline of a few knots does not jump from step to step."""


@pytest.fixture(params=YAMLS, ids=lambda path: path.stem)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param.stem)


@pytest.fixture
def config(name: str) -> DictConfig:
    loaded = OmegaConf.load(Path(configs.__file__).parent / "planner" / f"{name}.yaml")
    assert isinstance(loaded, DictConfig)
    return loaded


@pytest.fixture
def planner(config: DictConfig) -> Planner[Any]:
    return instantiate(config)


def solve(
    planner: Planner[Any], objective: Objective, bounds: ActionBounds, *, horizon: int = HORIZON, **others: Any
) -> tuple[Plan, Any]:
    """Plans with an objective that shows states, as some planners need."""
    return solving.solve(planner, showing_states(objective), bounds, horizon=horizon, **others)


def same(first: Plan, second: Plan) -> bool:
    return all(bool(torch.as_tensor(getattr(first, it.name) == getattr(second, it.name)).all()) for it in fields(Plan))


def flat(config: DictConfig) -> dict[str, Any]:
    """Returns dotted key to value, without targets."""
    leaves = {}
    for key, value in config.items():
        if isinstance(value, DictConfig):
            leaves |= {f"{key}.{inner}": leaf for inner, leaf in flat(value).items()}
        elif key != "_target_":
            leaves[str(key)] = value
    return leaves


def changed(config: DictConfig, key: str, value: Any) -> DictConfig:
    copy = config.copy()
    OmegaConf.update(copy, key, value)
    return copy


def test_it_is_a_planner(planner):
    assert isinstance(planner, Planner)


def test_it_comes_within_one_percent_of_the_optimum_of_its_space(planner, name, lqr):
    optimum = lqr.optimum(lqr.starts)
    if name in DISCRETE:
        grid = lqr.bounds.grid(planner.num_levels)
        sequences = torch.cartesian_prod(*[torch.arange(len(grid))] * HORIZON)
        optimum = lqr.objective(lqr.starts)(grid[sequences].expand(8, -1, -1, -1)).cost.min(dim=1).values
    state = None
    for call in range(40):
        seeds = range(100 * call, 100 * call + 8)
        plan, state = solve(planner, lqr.objective(lqr.starts), lqr.bounds, seeds=seeds, state=state)
    assert (plan.cost <= FLOOR.get(name, 1.01) * optimum).all()


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("limited", [False, True])
def test_every_action_lies_in_the_bounds_to_the_last_bit(planner, record, sign, dtype, limited):
    low, high = torch.tensor([-0.1, 1 / 3, -1e3], dtype=dtype), torch.tensor([0.3, 0.7, 1e-3], dtype=dtype)
    limit = {"max_change": 0.1 * (high - low), "previous_action": low.expand(8, -1)} if limited else {}
    bounds = ActionBounds(low=low, high=high, **limit)
    objective = record(lambda actions: priced(sign * actions.sum(dim=(2, 3))))
    plan, state = solve(planner, objective, bounds)
    plan, _ = solve(planner, objective, bounds, state=planner.shift(state, 1), proposals=[torch.full((8, 3, 3), 1e9)])
    for actions in [*objective.candidates, plan.actions, plan.elites]:
        assert actions.dtype == dtype
        assert torch.equal(actions, bounds.clip(actions))


def test_the_action_rate_is_limited(planner, lqr):
    previous = 0.9 * torch.ones(8, 2)
    bounds = replace(lqr.bounds, max_change=torch.tensor([0.2, 0.1]), previous_action=previous)
    plan, _ = solve(planner, lambda actions: priced(actions.sum(dim=(2, 3))), bounds)
    change = torch.cat([previous[:, None], plan.actions], dim=1).diff(dim=1)
    assert (change.abs() <= torch.tensor([0.2, 0.1]) + 1e-6).all()
    assert plan.actions[:, -1].mean() < 0.7  # downhill all the same


@pytest.mark.parametrize("make", [late_target, there_and_back], ids=lambda make: make.__name__)
def test_it_comes_as_near_to_the_optimum_where_the_rate_is_limited(planner, name, make):
    if name in DISCRETE:
        pytest.skip("plans on a grid of the box")
    chain: Chain = make()
    state = None
    for call in range(6):
        seeds = range(100 * call, 100 * call + 8)
        plan, state = solve(planner, chain, chain.bounds(8), horizon=len(chain.targets), seeds=seeds, state=state)
        if "gradient" in name or name == "collocation":
            assert (plan.cost <= 1.01 * chain.optimum()).all()
    assert (plan.cost <= LIMITED_FLOOR.get((name, make), FLOOR.get(name, 1.01)) * chain.optimum()).all()
    assert (plan.cost >= 0.9999 * chain.optimum()).all()


def test_discrete_actions_are_chosen_or_refused_in_one_sentence(planner, name, record):
    choices = torch.tensor([[0.0, 0.5], [0.25, 0.25], [1.0, 0.0]])
    bounds = ActionBounds(low=torch.zeros(2), high=torch.ones(2), choices=choices)
    objective = record(lambda actions: priced((actions - torch.tensor([0.9, 0.1])).square().sum(dim=(2, 3))))
    if name in DISCRETE:
        plan, _ = solve(planner, objective, bounds, proposals=[torch.rand(8, HORIZON, 2)])
        assert torch.equal(plan.actions, choices[2].expand(8, HORIZON, 2))
        for actions in objective.candidates:
            assert torch.equal(actions, bounds.clip(actions))
    else:
        with pytest.raises(ValueError, match=r"plans continuous actions, and there are only 3 discrete ones"):
            planner.init(bounds, batch_size=1, horizon=1)  # before anything else is asked of it


def test_the_plan_costs_what_the_objective_says(planner, lqr):
    objective = lqr.objective(lqr.starts)
    plan, _ = solve(planner, objective, lqr.bounds)
    torch.testing.assert_close(plan.cost, objective(plan.actions[:, None]).cost[:, 0])


def test_the_best_so_far_never_rises(planner, lqr):
    plan, _ = solve(planner, lqr.objective(lqr.starts), lqr.bounds)
    assert plan.cost_history.shape[1] == 8
    assert (plan.cost_history.diff(dim=0) <= 0).all()
    assert torch.equal(plan.cost_history[-1], plan.cost)


@pytest.mark.parametrize("bad", [math.nan, -math.inf])
def test_a_candidate_without_a_finite_cost_never_wins(planner, lqr, bad):
    def objective(actions: Tensor) -> Score:
        first = actions[:, :, 0, 0]
        return priced(torch.where(first > 0, bad, -first))  # its infimum lies on the side without costs

    plan, _ = solve(planner, objective, lqr.bounds)
    assert torch.isfinite(plan.cost).all()
    assert (plan.actions[:, 0, 0] <= 0).all()


def test_without_any_finite_cost_the_plan_is_the_centre_and_says_so(planner):
    bounds = ActionBounds(low=torch.tensor([-1.0, 0.0]), high=torch.tensor([1.0, 4.0]))
    plan, state = solve(planner, hopeless, bounds)
    assert not plan.found.any()
    assert torch.equal(plan.cost, torch.full((8,), math.inf))
    assert torch.equal(plan.actions, torch.tensor([0.0, 2.0]).expand(8, HORIZON, 2))
    again, _ = solve(planner, lambda actions: priced(actions.square().sum(dim=(2, 3))), bounds, state=state)
    assert again.found.all()


def test_without_any_finite_cost_the_plan_is_the_warm_start(planner, lqr):
    before, state = solve(planner, lqr.objective(lqr.starts), lqr.bounds)
    plan, _ = solve(planner, hopeless, lqr.bounds, state=planner.shift(state, 1))
    assert not plan.found.any()
    torch.testing.assert_close(plan.actions[:, :-1], before.actions[:, 1:])


def test_a_problem_without_finite_costs_does_not_disturb_the_others(planner, lqr):
    objective = lqr.objective(lqr.starts)
    lame = torch.arange(8) == 2
    expected, _ = solve(planner, lambda a: objective(a), lqr.bounds)
    plan, _ = solve(planner, lambda a: priced(torch.where(lame[:, None], math.nan, objective(a).cost)), lqr.bounds)
    assert torch.equal(plan.found, ~lame)
    assert torch.equal(plan.actions[~lame], expected.actions[~lame])


def test_the_same_noise_gives_the_same_plan(planner, lqr):
    objective = lqr.objective(lqr.starts)
    _, warm = solve(planner, objective, lqr.bounds)
    for state in (None, warm):
        first, _ = solve(planner, objective, lqr.bounds, state=state)
        second, _ = solve(planner, objective, lqr.bounds, state=state)
        assert same(first, second)


def test_a_problem_alone_is_the_problem_in_a_batch(planner, lqr):
    batched, _ = solve(planner, lqr.objective(lqr.starts), lqr.bounds)
    for index in range(8):
        alone, _ = solve(planner, lqr.objective(lqr.starts[[index]]), lqr.bounds, seeds=[index])
        torch.testing.assert_close(alone.cost[0], batched.cost[index], rtol=1e-5, atol=0)


def test_a_permutation_of_the_batch_permutes_the_plans(planner, lqr):
    order = torch.tensor([3, 1, 4, 0, 7, 5, 2, 6])
    plan, _ = solve(planner, lqr.objective(lqr.starts), lqr.bounds)
    permuted, _ = solve(planner, lqr.objective(lqr.starts[order]), lqr.bounds, seeds=order.tolist())
    torch.testing.assert_close(permuted.cost, plan.cost[order], rtol=1e-5, atol=0)
    torch.testing.assert_close(permuted.actions, plan.actions[order], rtol=1e-4, atol=1e-4)


def test_init_forgets(planner, lqr):
    objective = lqr.objective(lqr.starts)
    first, _ = solve(planner, objective, lqr.bounds)
    solve(planner, lqr.objective(-lqr.starts), lqr.bounds, seeds=range(8, 16))
    again, _ = solve(planner, objective, lqr.bounds)
    assert same(first, again)


def test_planning_leaves_its_inputs_as_they_were(planner, lqr):
    objective = lqr.objective(lqr.starts)
    proposal = lqr.optimal_actions(lqr.starts, HORIZON)
    state = planner.init(lqr.bounds, batch_size=8, horizon=HORIZON)
    generators = [Generator().manual_seed(seed) for seed in range(8)]
    noise = planner.sample_noise(generators, bounds=lqr.bounds, horizon=HORIZON)
    copies = noise.clone(), proposal.clone()
    planner.plan(objective, state, noise=noise, bounds=lqr.bounds, budget=Budget(), proposals=[proposal])
    assert torch.equal(noise, copies[0])
    assert torch.equal(proposal, copies[1])
    from_used, _ = solve(planner, objective, lqr.bounds, state=state)
    from_fresh, _ = solve(planner, objective, lqr.bounds)
    assert same(from_used, from_fresh)


def test_costs_of_another_type_are_taken_for_what_they_are(planner, name, lqr):
    objective = lqr.objective(lqr.starts)
    expected, _ = solve(planner, lambda actions: objective(actions), lqr.bounds)
    plan, _ = solve(planner, lambda actions: priced(objective(actions).cost.double()), lqr.bounds)
    assert same(plan, expected)
    if "gradient" in name or name == "collocation":
        return  # whole numbers have no gradient
    for dtype in (torch.int64, torch.bool):
        plan, _ = solve(planner, lambda actions: priced((actions[:, :, 0, 0] > 0.5).to(dtype)), lqr.bounds)  # noqa: B023
        assert plan.cost.dtype == torch.float32
        assert not plan.cost.any() and (plan.actions[:, 0, 0] <= 0.5).all()


def test_an_objective_that_changes_its_input_changes_no_plan(planner, lqr):
    def greedy(actions: Tensor) -> Score:
        cost = (actions - 2.0).square().sum(dim=(2, 3))
        actions += 1.0
        return priced(cost)

    plan, _ = solve(planner, greedy, lqr.bounds)
    assert plan.actions.abs().max() <= 1
    torch.testing.assert_close(plan.cost, (plan.actions - 2.0).square().sum(dim=(1, 2)))


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize(
    "setting",
    [
        lambda: default_dtype(torch.float64),
        lambda: torch.device("meta"),
        torch.inference_mode,
        torch.no_grad,
        lambda: torch.autocast("cpu"),
        lambda: np.errstate(all="raise"),
    ],
    ids=["float64", "default device", "inference_mode", "no_grad", "autocast", "seterr"],
)
def test_the_settings_of_a_host_change_no_plan(planner, lqr, setting):
    def plans() -> list[Plan]:
        limit, previous = torch.full_like(lqr.bounds.low, 0.3), torch.zeros_like(lqr.starts[:, :2])
        bounds = replace(lqr.bounds, max_change=limit, previous_action=previous)
        first, state = solve(planner, lqr.objective(lqr.starts), bounds)
        return [first, solve(planner, lqr.objective(lqr.starts), bounds, state=state, proposals=[proposal])[0]]

    proposal = 0.1 * lqr.optimal_actions(lqr.starts, HORIZON)
    expected = plans()
    context: AbstractContextManager[object] = setting()
    with context:
        within = plans()
    assert all(map(same, within, expected))


def test_inputs_that_require_a_gradient_change_no_plan(planner, lqr):
    expected, _ = solve(planner, lqr.objective(lqr.starts), lqr.bounds, proposals=[torch.zeros(8, HORIZON, 2)])
    bounds = ActionBounds(low=lqr.bounds.low.clone().requires_grad_(), high=lqr.bounds.high.clone().requires_grad_())
    proposal = torch.zeros(8, HORIZON, 2, requires_grad=True)
    plan, _ = solve(planner, lqr.objective(lqr.starts), bounds, proposals=[proposal])
    assert same(plan, expected)
    assert not plan.actions.requires_grad and not plan.elites.requires_grad


def test_pricing_in_chunks_changes_no_plan(planner, lqr, record):
    expected, _ = solve(planner, lqr.objective(lqr.starts), lqr.bounds)
    objective = record(lqr.objective(lqr.starts))
    plan, _ = solve(planner, objective, lqr.bounds, budget=Budget(chunk_size=7))
    assert max(actions.shape[1] for actions in objective.candidates) <= 7
    assert plan.num_evaluations == expected.num_evaluations
    torch.testing.assert_close(plan.cost, expected.cost, rtol=1e-5, atol=0)


@pytest.mark.filterwarnings("ignore")
def test_a_call_compiles_as_one_graph_to_the_same_plan(planner, lqr):
    state = planner.init(lqr.bounds, batch_size=8, horizon=HORIZON)
    seeded = [Generator().manual_seed(seed) for seed in range(8)]
    noise = planner.sample_noise(seeded, bounds=lqr.bounds, horizon=HORIZON)
    objective, budget = lqr.objective(lqr.starts), Budget(num_evaluations=100)

    def actions() -> Tensor:
        return planner.plan(objective, state, noise=noise, bounds=lqr.bounds, budget=budget)[0].actions

    expected = actions()
    torch.compiler.reset()
    with torch._dynamo.config.patch(trace_autograd_ops=True):  # for planners that differentiate
        compiled = torch.compile(actions, backend="eager", fullgraph=True)()
    torch.testing.assert_close(compiled, expected)


def test_when_the_time_is_up_the_plan_is_the_best_so_far(planner, lqr, monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now)

    def slow(actions: Tensor) -> Score:
        nonlocal now
        now += 0.010
        return lqr.objective(lqr.starts)(actions)

    plan, _ = solve(planner, slow, lqr.bounds, budget=Budget(milliseconds=1))
    full, _ = solve(planner, slow, lqr.bounds, budget=Budget(milliseconds=1e6))
    assert plan.found.all()
    assert plan.num_evaluations < full.num_evaluations
    assert same(full, solve(planner, slow, lqr.bounds)[0])


@pytest.mark.parametrize("num_evaluations", [1, 2, 37, 128, 200, 511, None])
def test_the_budget_is_respected_to_the_evaluation(planner, lqr, record, num_evaluations):
    objective = record(lqr.objective(lqr.starts))
    plan, _ = solve(planner, objective, lqr.bounds, budget=Budget(num_evaluations))
    assert plan.num_evaluations == objective.num_evaluations
    assert num_evaluations is None or plan.num_evaluations <= num_evaluations
    assert plan.found.all()


def test_the_budget_changes_the_plan(planner, lqr):
    objective = lqr.objective(4 * lqr.starts)
    full, _ = solve(planner, objective, lqr.bounds, horizon=6)
    half, _ = solve(planner, objective, lqr.bounds, horizon=6, budget=Budget(full.num_evaluations // 2))
    assert half.num_evaluations <= full.num_evaluations // 2
    assert half.cost.mean() > full.cost.mean()


@pytest.mark.parametrize("num_evaluations", [1, None])
def test_a_proposal_is_the_plan_when_it_is_best(planner, lqr, num_evaluations):
    best = lqr.optimal_actions(lqr.starts, HORIZON)
    plan, state = solve(
        planner, lqr.objective(lqr.starts), lqr.bounds, proposals=[best], budget=Budget(num_evaluations)
    )
    torch.testing.assert_close(plan.actions, best, rtol=0, atol=1e-3)
    assert (plan.cost <= lqr.optimum(lqr.starts) * (1 + 1e-5)).all()
    kept, _ = solve(planner, lqr.objective(lqr.starts), lqr.bounds, state=state, seeds=range(8, 16))
    assert (kept.cost <= lqr.optimum(lqr.starts) * (1 + 1e-5)).all()


def test_a_proposal_that_is_nan_or_out_of_bounds_enters_inside_the_bounds(planner, lqr, record):
    objective = record(lqr.objective(lqr.starts))
    proposals = [torch.full((8, HORIZON, 2), value) for value in (math.nan, math.inf, -1e9)]
    solve(planner, objective, lqr.bounds, proposals=proposals)
    for candidates in objective.candidates:
        assert torch.equal(candidates, lqr.bounds.clip(candidates))


def test_a_warm_start_lowers_the_first_iterations_cost(planner, name, lqr):
    horizon = 6 if name in DISCRETE else HORIZON  # on a grid, a cold start finds a short plan at once
    plan, state = solve(planner, lqr.objective(lqr.starts), lqr.bounds, horizon=horizon)
    objective = lqr.objective(lqr.step(lqr.starts, plan.actions[:, 0]))
    seeds = range(8, 16)
    cold, _ = solve(planner, objective, lqr.bounds, horizon=horizon, seeds=seeds)
    warm, _ = solve(planner, objective, lqr.bounds, horizon=horizon, seeds=seeds, state=planner.shift(state, 1))
    assert warm.cost_history[0].mean() < cold.cost_history[0].mean()


def test_a_shift_by_nothing_and_a_resize_to_the_same_change_nothing(planner, lqr):
    objective = lqr.objective(lqr.starts)
    _, state = solve(planner, objective, lqr.bounds)
    expected, _ = solve(planner, objective, lqr.bounds, state=state)
    for moved in (planner.shift(state, 0), planner.resize(state, HORIZON)):
        plan, _ = solve(planner, objective, lqr.bounds, state=moved)
        assert same(plan, expected)


@pytest.mark.parametrize("num_steps", [HORIZON, HORIZON + 2])
def test_a_shift_by_the_whole_horizon_forgets(planner, lqr, num_steps):
    _, state = solve(planner, lqr.objective(-lqr.starts), lqr.bounds)
    plan, _ = solve(planner, lqr.objective(lqr.starts), lqr.bounds, state=planner.shift(state, num_steps))
    expected, _ = solve(planner, lqr.objective(lqr.starts), lqr.bounds)
    assert same(plan, expected)


@pytest.mark.parametrize("horizon", [1, 2, 5])
def test_a_resized_state_plans_that_far_and_remembers_the_start(planner, lqr, horizon):
    plan, state = solve(planner, lqr.objective(lqr.starts), lqr.bounds)
    resized = planner.resize(state, horizon)
    longer, _ = solve(planner, hopeless, lqr.bounds, state=resized, horizon=horizon)
    kept = min(horizon, HORIZON)
    torch.testing.assert_close(longer.actions[:, :kept], plan.actions[:, :kept])
    assert torch.equal(longer.actions[:, kept:], torch.zeros(8, horizon - kept, 2))


def test_plans_carry_no_gradient(planner, lqr):
    weight = torch.ones((), requires_grad=True)
    objective = lqr.objective(lqr.starts)
    plan, _ = solve(planner, lambda actions: priced(weight * objective(actions).cost), lqr.bounds)
    assert not plan.cost.requires_grad
    assert not plan.actions.requires_grad


def test_a_cost_of_the_wrong_shape_is_refused_in_one_sentence(planner, lqr):
    with pytest.raises(ValueError, match=r"cost \[batch, num_samples\] = \[8, \d+\], got \[8\]$"):
        solve(planner, lambda actions: priced(actions.sum(dim=(2, 3))[:, 0]), lqr.bounds)


def test_a_proposal_of_the_wrong_shape_is_refused_in_one_sentence(planner, lqr):
    with pytest.raises(ValueError, match=r"proposal must be .* = \[8, 3, 2\], got \[8, 4, 2\]$"):
        solve(planner, lqr.objective(lqr.starts), lqr.bounds, proposals=[torch.zeros(8, 4, 2)])


def test_noise_for_another_horizon_is_refused_in_one_sentence(planner, lqr):
    state = planner.init(lqr.bounds, batch_size=8, horizon=HORIZON)
    with pytest.raises(ValueError, match=r"noise must be .* = \[8, .*\], got \[8, .*\]$"):
        solve(planner, lqr.objective(lqr.starts), lqr.bounds, state=state, horizon=HORIZON + 1)


@pytest.mark.parametrize("horizon", [0, -1])
def test_a_horizon_below_one_is_refused_in_one_sentence(planner, lqr, horizon):
    with pytest.raises(ValueError, match=f"horizon.* must be at least 1, got .*{horizon}$"):
        planner.init(lqr.bounds, batch_size=1, horizon=horizon)
    state = planner.init(lqr.bounds, batch_size=1, horizon=HORIZON)
    with pytest.raises(ValueError, match=f"horizon must be at least 1, got {horizon}$"):
        planner.resize(state, horizon)


def test_every_number_of_the_yaml_is_checked(config):
    for name, value in flat(config).items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            with pytest.raises(Exception, match=rf"{name.split('.')[-1]}.*-1") as raised:
                instantiate(changed(config, name, -1))
            assert isinstance(raised.value.__cause__, ValueError)


@pytest.mark.parametrize("value", [1.5, "many", True])
def test_a_value_that_is_null_or_a_whole_number_is_checked(config, value):
    for name in [name for name, shipped in flat(config).items() if shipped is None]:
        with pytest.raises(Exception, match=rf"{name.split('.')[-1]}.*whole number.*{value}") as raised:
            instantiate(changed(config, name, value))
        assert isinstance(raised.value.__cause__, ValueError)


def test_every_value_of_the_yaml_changes_the_result(config, lqr):
    def rugged(actions: Tensor) -> Score:
        waves = (11 * actions.cumsum(dim=2)).sin().sum(dim=(2, 3))
        return priced(lqr.objective(lqr.starts)(actions).cost + waves)

    def second_plan(config: DictConfig) -> Plan:
        planner = instantiate(config)
        _, state = solve(planner, rugged, lqr.bounds, horizon=6)
        state = planner.shift(state, 1)
        return solve(planner, rugged, lqr.bounds, horizon=6, state=state, seeds=range(8, 16))[0]

    expected = second_plan(config).actions
    for name, value in flat(config).items():
        plans = (second_plan(changed(config, name, other)).actions for other in others(config, name, value))
        assert any(not torch.equal(plan, expected) for plan in plans), f"{name}={value} does not matter"


def others(config: DictConfig, name: str, value: Any) -> Iterator[Any]:
    """Yields other values of the same kind that the planner takes."""
    if value is None:
        candidates = [2]
    elif isinstance(value, bool):
        candidates = [not value]
    elif isinstance(value, int):
        candidates = [value + 1, value - 1, 2 * value]
    else:
        candidates = [1.2 * value + 0.1 * (value == 0), 5 * value, 20 * value, 0.2 * value]
    for candidate in candidates:
        with suppress(InstantiationException):
            instantiate(changed(config, name, candidate))
            yield candidate
