import numpy as np
import pytest
import torch

from agent.cost.intrinsic import GoalDistance
from agent.futures import Futures
from benchmarks.agent.rank_correlation import REFERENCE, Way, correlate, follow, price_imagined, price_seen, spearman
from world_model.types import LatentContext, LatentGoal, LatentTrajectory

REPEAT = 2


class Adds:
    """A world model of the line: each control action is added to the position, and so is luck, where there is some.

    It keeps all positions that it was told of.
    """

    action_repeat = REPEAT
    least_context = 1

    def __init__(self, *, latent_dim=0):
        self.latent_dim = latent_dim

    def follow(self, context, action, embedding):
        told = context.embeddings[:, 0] if context.state is None else context.state[0]
        return LatentContext(
            embeddings=embedding[:, None],
            actions=context.actions,
            previous_action=action,
            state=(torch.cat([told, embedding], dim=1),),
        )

    def rollout(self, context, actions, latents=None):
        moves = actions.sum(dim=3, keepdim=True).cumsum(dim=2)
        if latents is not None:
            moves = moves + latents
        return LatentTrajectory(
            embeddings=context.embeddings[:, -1, None, None] + moves,
            actions=actions,
            previous_action=context.previous_action,
            start=context.embeddings[:, -1],
        )


def walk(num_steps, *, start=0.0, seed=0):
    """Returns a way along the line to 1, in equal steps."""
    positions = torch.linspace(start, 1.0, num_steps + 1)[:, None]
    actions = positions.diff(dim=0)
    return Way(
        seed=seed,
        embeddings=positions,
        actions=actions,
        goal=LatentGoal(embedding=torch.ones(1, 1), mask=torch.ones(1, 1, dtype=torch.bool)),
        contexts=follow(Adds(), positions, actions, still=torch.zeros(1)),
    )


def futures(num_futures=1, **changes):
    return Futures(**{"num_futures": num_futures, "count": "mean", "share": 0.5} | changes)


def test_what_is_seen_is_priced_at_model_steps_until_the_goal():
    prices, left = price_seen(walk(6), GoalDistance(last_step_weight=1.0), action_repeat=REPEAT)
    assert left.tolist() == [6, 4, 2, 0]
    assert prices == pytest.approx([1, (2 / 3) ** 2, (1 / 3) ** 2, 0], abs=1e-6)


def test_what_is_imagined_ends_where_the_actions_led():
    cost = GoalDistance(last_step_weight=1.0)
    prices, left = price_imagined(walk(6), cost, Adds(), futures=futures(), horizon=1)
    assert left.tolist() == [4, 2, 0]
    assert prices == pytest.approx([(2 / 3) ** 2, (1 / 3) ** 2, 0], abs=1e-6)
    assert len(price_imagined(walk(1), cost, Adds(), futures=futures(), horizon=1)[0]) == 0


def test_what_is_imagined_starts_from_all_that_came():
    way = walk(5)
    assert [context.state for context in way.contexts[:1]] == [None]
    for moment in (1, 2):
        context = way.contexts[moment]
        torch.testing.assert_close(context.state[0][0], way.embeddings[: REPEAT * moment + 1 : REPEAT, 0])
        torch.testing.assert_close(context.previous_action[0], way.actions[REPEAT * moment - REPEAT :][:REPEAT, 0])
    assert len(way.contexts) == 3


def test_what_is_imagined_is_priced_under_as_many_futures_as_the_agent_prices_under():
    way, cost, model = walk(6, seed=3), GoalDistance(last_step_weight=1.0), Adds(latent_dim=1)
    certain = price_imagined(way, cost, Adds(), futures=futures(4), horizon=1)[0]
    most_probable = price_imagined(way, cost, model, futures=futures(), horizon=1)[0]
    mean, worst = (
        price_imagined(way, cost, model, futures=futures(4, count=count), horizon=1)[0]
        for count in ("mean", "worst_share")
    )
    assert certain.tolist() == most_probable.tolist()
    assert (worst > mean).all() and not np.isclose(mean, most_probable).any()
    again = price_imagined(way, cost, model, futures=futures(4), horizon=1)[0]
    assert again.tolist() == mean.tolist()  # so that costs are compared under the same ones
    other = price_imagined(walk(6, seed=4), cost, model, futures=futures(4), horizon=1)[0]
    assert not np.isclose(other, mean).any()


def test_a_rank_correlation_is_that_of_the_ranks():
    left = np.array([4.0, 3.0, 2.0, 1.0])
    assert spearman(np.exp(left), left) == pytest.approx(1)
    assert spearman(-left, left) == pytest.approx(-1)
    assert spearman(np.ones(4), left) == 0
    assert spearman(np.array([4.0, 3.0, 1.0, 2.0]), left) == pytest.approx(0.8)  # 1 - 6 * 2 / (4 * 15)


def test_costs_are_told_apart_by_what_they_know():
    ways = [walk(steps, start=start) for steps in (6, 8, 12) for start in (-1.0, 0.0, 0.5)]

    def nothing(trajectory, goal):
        return -GoalDistance(last_step_weight=1.0)(trajectory, goal)

    costs = {REFERENCE: GoalDistance(last_step_weight=1.0), "nothing": nothing}
    rows, num_episodes, num_moments = correlate(
        ways, costs, lambda way, cost: price_seen(way, cost, action_repeat=REPEAT)
    )
    assert (num_episodes, num_moments) == (9, 3 * (4 + 5 + 7))
    known = rows[REFERENCE]
    assert known["within"] == pytest.approx({"value": 1, "low": 1, "high": 1})
    assert known["pooled"]["low"] <= known["pooled"]["value"] <= known["pooled"]["high"] < 1
    assert rows["nothing"]["within"]["value"] == pytest.approx(-1)
    assert rows["nothing"][f"within against {REFERENCE}"]["value"] == pytest.approx(-2)
