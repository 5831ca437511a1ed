"""Several futures: how they count, and what an agent does that knows of them."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Generator

from agent.cost.intrinsic import ActionSmoothness, ControlEffort, GoalDistance
from agent.cost.types import CostModule
from agent.futures import Futures
from agent.objective import ImaginedCost
from planners.evaluator import Evaluator
from planners.types import Budget, TrajectoryObjective
from world_model.action_encoders import BoxActionEncoder
from world_model.dynamics.gru import GRUDynamics
from world_model.dynamics.residual_mlp import ResidualMLPDynamics
from world_model.encoders.mlp import MLPEncoder
from world_model.jepa import JEPA
from world_model.latent.discrete import DiscreteLatent
from world_model.latent.gaussian import GaussianLatent
from world_model.types import Explanation, LatentContext, LatentGoal

BATCH, NUM_SAMPLES, NUM_FUTURES, HORIZON = 2, 3, 5, 4
LATENTS = {
    "discrete": partial(DiscreteLatent, num_values=3, prior_weight=0.1, balance_weight=0.1, balance_share=0.1),
    "gaussian": partial(GaussianLatent, num_dims=2, num_inference_steps=3, inference_rate=0.1),
}
DYNAMICS = {
    "residual_mlp": partial(ResidualMLPDynamics, hidden_dim=16, num_layers=2),
    "gru": partial(GRUDynamics, hidden_dim=16, num_layers=1),
}


def draw(*shape, seed):
    return torch.randn(*shape, generator=Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(params=LATENTS)
def model(request):
    built = JEPA(
        sensors={"position": (2,), "velocity": (3,)},
        embed_dims={"position": 2, "velocity": 3},
        encoder=partial(MLPEncoder, hidden_dim=8, num_layers=1),
        action_encoder=BoxActionEncoder,
        dynamics=DYNAMICS["residual_mlp" if request.param == "discrete" else "gru"],
        goal_dim=None,
        kinds=[],
        latent=partial(LATENTS[request.param], sensors=["velocity"], hidden_dim=16, weight=0.01),
        context_length=2,
        action_dim=2,
        action_repeat=2,
    ).double()
    with torch.no_grad():
        for index, parameter in enumerate(built.parameters()):
            parameter.copy_(draw(*parameter.shape, seed=index) / parameter.shape[-1] ** 0.5)
    return built


@pytest.fixture
def objective(model):
    terms = {"distance": GoalDistance(last_step_weight=2.0), "effort": ControlEffort(), "change": ActionSmoothness()}
    limits = {"change": 0.3, "far": 0.5}
    return ImaginedCost(
        world_model=model,
        cost=CostModule(
            terms={**terms, "far": terms["distance"]}, weights={"distance": 1.0, "effort": 0.1}, limits=limits
        ),
        context=LatentContext(
            embeddings=draw(BATCH, 2, 5, seed=100),
            actions=draw(BATCH, 1, 4, seed=101),
            previous_action=draw(BATCH, 4, seed=102),
        ),
        goal=LatentGoal(embedding=draw(BATCH, 5, seed=103), mask=torch.ones(BATCH, 5, dtype=torch.bool)),
        action_repeat=2,
        futures=futures("mean", model.latent_dim),
    )


def futures(count, latent_dim, *, share=0.3, num_futures=NUM_FUTURES):
    generators = [Generator().manual_seed(index) for index in range(BATCH)]
    drawn = Futures(num_futures=num_futures, count=count, share=share).draw(
        generators, horizon=HORIZON, latent_dim=latent_dim
    )
    return replace(drawn, latents=drawn.latents.double())


ACTIONS = draw(BATCH, NUM_SAMPLES, HORIZON, 2, seed=104)


@pytest.mark.parametrize("count", ["mean", "worst_share", "best"])
def test_actions_are_priced_as_each_future_alone_would_and_then_together(objective, count):
    objective = replace(objective, futures=futures(count, objective.world_model.latent_dim))
    score, held = objective(ACTIONS), ACTIONS.repeat(1, 1, 1, 2)
    for sample in range(NUM_SAMPLES):
        costs, violations = [], []
        for future in range(NUM_FUTURES):
            trajectory = objective.world_model.rollout(
                objective.context, held[:, sample, None], objective.futures.latents[:, future, None]
            )
            costs.append(objective.cost(trajectory, objective.goal)[:, 0])
            violations.append(objective.cost.violations(trajectory, objective.goal)[:, 0])
        for told, each in ((score.cost, costs), (score.violations, violations)):
            each = torch.stack(each).sort(dim=0, descending=True).values  # [num_futures, batch, ...]
            expected = {
                "mean": each.mean(dim=0),
                "worst_share": (each[0] + 0.5 * each[1]) / 1.5,  # 0.3 of 5 futures
                "best": each[-1],
            }[count]
            torch.testing.assert_close(told[:, sample], expected)
    assert score.violations.shape == (BATCH, NUM_SAMPLES, 2)
    assert not torch.isclose(score.cost, replace(objective, futures=None)(ACTIONS).cost).all()


def test_states_are_the_rollout_exactly_where_they_are_predicted(objective):
    assert isinstance(objective, TrajectoryObjective)
    states = objective.rollout(ACTIONS)
    assert states.shape == (BATCH, NUM_SAMPLES, HORIZON, NUM_FUTURES * 5)
    torch.testing.assert_close(objective.predict(states, ACTIONS), states, rtol=1e-12, atol=1e-12)
    assert torch.equal(objective(ACTIONS).cost, objective.price(states, ACTIONS).cost)
    for step in range(HORIZON - 1):
        moved = states.clone()
        moved[:, :, step] += 0.1
        differs = (objective.predict(moved, ACTIONS) - moved).abs().amax(dim=(0, 1, 3)) > 1e-6
        assert differs[step] and not differs[:step].any()


def test_gradients_agree_with_finite_differences(objective):
    actions, states = ACTIONS.clone().requires_grad_(), draw(BATCH, NUM_SAMPLES, HORIZON, 25, seed=105).requires_grad_()
    assert torch.autograd.gradcheck(lambda actions: objective(actions).cost, (actions,))
    assert torch.autograd.gradcheck(lambda states, actions: objective.price(states, actions).cost, (states, actions))


def test_candidates_share_their_luck_whatever_else_is_priced(objective):
    same = ACTIONS[:, :1].expand(-1, 2, -1, -1)
    cost = objective(same).cost
    torch.testing.assert_close(cost[:, 0], cost[:, 1])
    torch.testing.assert_close(objective(ACTIONS).cost[:, 0], cost[:, 0])
    shorter = objective(ACTIONS[:, :, :2])  # as a search prices beginnings
    assert shorter.cost.shape == (BATCH, NUM_SAMPLES)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.4, 0.5, 0.77, 1.0])
def test_the_worst_share_is_the_conditional_value_at_risk(share):
    """Of equally likely costs it is the least of t + mean(max(cost - t, 0)) / share over t, which is one of them."""
    costs = draw(3, 4, 8, seed=0)
    risk = Futures(num_futures=8, count="worst_share", share=share).reduce(costs)
    thresholds = costs[..., None, :] - costs[..., :, None]  # [batch, num_samples, t, num_futures]
    bounds = costs + thresholds.clamp_min(0).mean(dim=3) / share
    torch.testing.assert_close(risk, bounds.amin(dim=2))


def test_a_future_that_costs_no_finite_number_is_not_forgotten():
    costs = torch.tensor([[[1.0, torch.nan, 2.0], [1.0, 2.0, torch.inf]]])
    for count in ("mean", "worst_share"):
        assert not torch.isfinite(Futures(num_futures=3, count=count, share=0.3).reduce(costs)).any()


def test_one_future_and_a_deterministic_world_draw_nothing():
    several = Futures(num_futures=4, count="mean", share=0.5)
    assert several.draw([Generator()], horizon=3, latent_dim=0) is None
    assert replace(several, num_futures=1).draw([Generator()], horizon=3, latent_dim=2) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_futures": 0}, "num_futures must be at least 1, got 0"),
        ({"num_futures": 1, "count": "worst_share"}, "num_futures must be at least 2 where count=worst_share, got 1"),
        ({"count": "median"}, "count must be one of mean, worst_share, best, got 'median'"),
        ({"share": 0.0}, "share must be above 0 and at most 1"),
        ({"share": 1.01}, "share must be above 0 and at most 1"),
        ({"share": float("nan")}, "share must be above 0 and at most 1"),
    ],
)
def test_values_without_meaning_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Futures(**{"num_futures": 4, "count": "mean", "share": 0.5} | change)


@pytest.fixture
def gusty(integrator):
    """A world in which one step of three is blown back by the wind, the farther the faster one goes along x."""

    class GustyModel(type(integrator)):
        latent_dim = 1

        def rollout(self, context, actions, latents=None):
            calm = super().rollout(context, actions)
            if latents is None:
                return calm
            blown = (latents[..., 0] > 2 / 3) * actions[..., 0].clamp_min(0) * 0.15
            offsets = torch.zeros_like(calm.embeddings)
            offsets[..., 0] = -blown.cumsum(dim=2)
            return replace(calm, embeddings=calm.embeddings + offsets)

        def explain(self, context, actions, observed, seen):
            futures = torch.cat(
                [
                    self.rollout(context, actions[:, None, None], torch.full((1, 1, 1, 1), luck)).embeddings[0, :, 0]
                    for luck in (0.0, 1.0)
                ]
            )
            errors = ((futures - observed) * seen).square().sum(dim=1) / seen.sum()
            return Explanation(embedding=futures[errors.argmin(), None], energy=errors.min()[None])

    return GustyModel()


def observe(position, **changes):
    return {"position": np.asarray(position, np.float32), "clock": np.zeros(2, np.float32)} | changes


def rule(**then):
    return {"name": "some", "when": {}, "then": then}


def first_action(actor, *, seed=0):
    actor.reset({"position": [0.9, 0.0, 0.0]}, seed=seed)
    return actor.act(observe([0.0, 0.0, 0.0]))


def test_who_counts_the_worst_share_stays_where_who_counts_the_mean_or_the_best_goes(make_actor, gusty):
    def speed(count):
        counted = Futures(num_futures=9, count=count, share=0.3)
        return float(first_action(make_actor(world_model=gusty, futures=counted))[0])

    assert speed("worst_share") == 0.0
    assert speed("mean") > 0.5 and speed("best") > 0.99


def test_a_rule_may_say_how_futures_count(make_actor, gusty):
    base = Futures(num_futures=9, count="best", share=0.3)
    rules = [
        {"name": "afraid", "when": {"surprise_below": 1.0}, "then": {"futures": {"count": "worst_share"}}},
        {"name": "else", "when": {}, "then": {}},
    ]
    afraid = make_actor(world_model=gusty, futures=base, rules=rules)
    told = make_actor(world_model=gusty, futures=replace(base, count="worst_share"))
    assert np.array_equal(first_action(afraid), first_action(told))


def test_futures_leave_the_planners_noise_alone_and_are_the_seeds(make_actor, gusty, integrator):
    several = Futures(num_futures=4, count="mean", share=0.3)
    certain = first_action(make_actor())
    assert np.array_equal(first_action(make_actor(futures=several)), certain)  # where there is one future
    assert np.array_equal(first_action(make_actor(world_model=gusty)), certain)  # where the most probable one counts
    windy = [first_action(make_actor(world_model=gusty, futures=several), seed=seed) for seed in (0, 0, 1)]
    assert np.array_equal(windy[0], windy[1]) and not np.array_equal(windy[0], windy[2])
    assert not np.array_equal(windy[0], certain)


@pytest.mark.parametrize("num_futures", [1, 3, 10])
def test_no_more_futures_are_imagined_at_once_than_a_chunk_holds(make_actor, gusty, num_futures):
    imagine, rows, rules = gusty.rollout, [], [rule(futures={"num_futures": num_futures})]

    def rollout(context, actions, latents=None):
        rows.append(actions.shape[0] * actions.shape[1])
        return imagine(context, actions, latents)

    gusty.rollout = rollout
    plans = []
    for chunk_size in (None, 10):
        rows.clear()
        actor = make_actor(
            world_model=gusty,
            futures=Futures(num_futures=2, count="mean", share=0.3),
            rules=rules,
            chunk_size=chunk_size,
        )
        first_action(actor)
        plans.append(actor.state.plan)
        assert max(rows) == (64 * num_futures if chunk_size is None else 10 // num_futures * num_futures)
    torch.testing.assert_close(plans[1].cost_history, plans[0].cost_history, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(plans[1].actions, plans[0].actions, rtol=1e-6, atol=1e-6)


def test_a_chunk_that_holds_no_candidate_is_refused(make_configurator):
    with pytest.raises(ValueError, match=r"in the rule 'some', chunk_size must be at least num_futures=9, .*, got 8$"):
        make_configurator(rules=[rule(futures={"num_futures": 9})], chunk_size=8)


def test_what_many_futures_cost_does_not_depend_on_the_chunks(objective, make_configurator):
    (configuration,) = make_configurator(chunk_size=NUM_FUTURES, futures=objective.futures.futures).configurations
    chunked, at_once = Evaluator(objective, configuration.budget), Evaluator(objective, Budget())
    for cost, expected in (
        (chunked.price(ACTIONS).cost, at_once.price(ACTIONS).cost),
        (chunked.rollout(objective, ACTIONS)[0], at_once.rollout(objective, ACTIONS)[0]),
        (chunked.price_with_gradient(ACTIONS)[1], at_once.price_with_gradient(ACTIONS)[1]),
    ):
        torch.testing.assert_close(cost, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("blown_back", "surprise"), [(0.0, 0.0), (0.15, 0.0), (0.05, 0.05**2 / 5)])
def test_what_one_of_the_plausible_futures_foresaw_is_no_surprise(make_actor, gusty, blown_back, surprise):
    actor = make_actor(world_model=gusty)
    action = first_action(actor)
    assert action[0] > 0.99
    actor.act(observe(0.1 * action - [blown_back * action[0], 0.0, 0.0]))
    assert actor.state.percept.surprise == pytest.approx(surprise, abs=1e-6)
    assert actor.state.percept.block_surprises["position"] == pytest.approx(surprise * 5 / 3, abs=1e-6)


def test_a_hidden_sensor_is_filled_in_from_the_future_that_explains_what_was_seen(make_actor, gusty):
    """The clock tells of the wind: who sees it knows how far the point was blown, without seeing the point."""
    calm_rollout = gusty.rollout

    def rollout(context, actions, latents=None):
        trajectory = calm_rollout(context, actions, latents)
        clock = torch.zeros_like(trajectory.embeddings)
        if latents is not None:
            clock[..., 3:] = (latents > 2 / 3).float()
        return replace(trajectory, embeddings=trajectory.embeddings + clock)

    gusty.rollout = rollout
    for wind, blown_back in ((0.0, 0.0), (1.0, 0.15)):
        actor = make_actor(world_model=gusty)
        action = first_action(actor)
        actor.act({"clock": np.full(2, wind, np.float32)})
        percept = actor.state.percept
        assert percept.filled == {"position": "missing"} and percept.surprise == pytest.approx(0.0, abs=1e-9)
        expected = 0.1 * action - [blown_back * action[0], 0.0, 0.0]
        np.testing.assert_allclose(percept.embedding[:3], expected, atol=1e-6)
