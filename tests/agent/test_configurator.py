import math
from dataclasses import replace

import pytest
import torch

from agent.configurator.types import Situation
from planners.types import Budget
from world_model.types import LatentGoal, LatentTrajectory

SITUATION = Situation(
    surprise=0.0,
    goal_distance=0.5,
    cost_to_go=4.0,
    doubt=1.0,
    steps_on_goal=3,
    steps_without_progress=0,
    filled_sensors=(),
    goal_index=0,
    num_goals=2,
)
RULES = [
    {"name": "surprised", "when": {"surprise_above": 0.05}, "then": {"horizon": 9, "num_evaluations": None}},
    {"name": "blind", "when": {"num_filled_sensors_above": 0}, "then": {"horizon": 2}},
    {"name": "near and sure", "when": {"cost_to_go_below": 1.5, "doubt_below": 0.3}, "then": {"mode": "reactive"}},
    {"name": "lost", "when": {"steps_without_progress_above": 4}, "then": {"weights": {"control_effort": 0.5}}},
    {"name": "last goal", "when": {"num_goals_left_below": 1}, "then": {"mode": "hybrid", "num_evaluations": 50}},
    {"name": "else", "when": {}, "then": {}},
]


def trajectory():
    """One step of one sample: a goal distance of 4 and a control effort of 1."""
    return LatentTrajectory(
        embeddings=torch.full((1, 1, 1, 2), 2.0),
        actions=torch.ones(1, 1, 1, 1),
        previous_action=torch.zeros(1, 1),
        start=torch.zeros(1, 2),
    )


def price(configuration):
    goal = LatentGoal(embedding=torch.zeros(1, 2), mask=torch.ones(1, 2, dtype=torch.bool))
    return float(configuration.cost(trajectory(), goal))


@pytest.mark.parametrize(
    ("change", "rule", "mode", "horizon", "num_evaluations", "cost"),
    [
        ({}, "else", "planning", 3, 100, 4.0),
        ({"surprise": 0.06}, "surprised", "planning", 9, None, 4.0),
        ({"surprise": 0.05}, "else", "planning", 3, 100, 4.0),
        ({"filled_sensors": ("clock",)}, "blind", "planning", 2, 100, 4.0),
        ({"filled_sensors": ("clock",), "surprise": 1.0}, "surprised", "planning", 9, None, 4.0),
        ({"cost_to_go": 1.4, "doubt": 0.2}, "near and sure", "reactive", 3, 100, 4.0),
        ({"cost_to_go": 1.4, "doubt": 0.3}, "else", "planning", 3, 100, 4.0),
        ({"cost_to_go": math.nan, "doubt": 0.2}, "else", "planning", 3, 100, 4.0),
        ({"steps_without_progress": 5}, "lost", "planning", 3, 100, 4.5),
        ({"goal_index": 1}, "last goal", "hybrid", 3, 50, 4.0),
    ],
)
def test_the_first_rule_that_applies_decides(make_configurator, change, rule, mode, horizon, num_evaluations, cost):
    configurator = make_configurator(rules=RULES, num_evaluations=100, chunk_size=8)
    chosen = configurator.configure(replace(SITUATION, **change))
    assert (chosen.rule, chosen.mode, chosen.horizon) == (rule, mode, horizon)
    assert chosen.budget == Budget(num_evaluations, None, 8)
    assert price(chosen) == cost


def test_one_cost_module_serves_all_rules_of_the_same_weights(make_configurator):
    configurations = make_configurator(rules=RULES).configurations
    assert len({id(configuration.cost) for configuration in configurations}) == 2


@pytest.mark.parametrize(
    ("condition", "needs_critic"), [("doubt_above", True), ("cost_to_go_below", True), ("surprise_above", False)]
)
def test_a_table_that_asks_the_critic_says_so(make_configurator, condition, needs_critic):
    rules = [{"name": "some", "when": {condition: 1.0}, "then": {}}, RULES[-1]]
    assert make_configurator(rules=rules).needs_critic is needs_critic


def rule(**changes):
    return {"name": "some", "when": {"surprise_above": 0.1}, "then": {}, **changes}


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([], "rules must be a list of at least one rule, got"),
        ({"name": "else"}, "rules must be a list of at least one rule, got"),
        (["else"], "a rule must have a name and the mappings 'when' and 'then', and nothing else, got 'else'"),
        ([rule(otherwise={})], "a rule must have a name and the mappings 'when' and 'then', and nothing else"),
        ([rule(when=None), RULES[-1]], "'when' of the rule 'some' must be a mapping, got None"),
        ([rule(when={"hunger_above": 1}), RULES[-1]], "must be one of surprise_above, .*, got 'hunger_above'"),
        ([rule(when={"suprise_above": 1}), RULES[-1]], "got 'suprise_above', did you mean 'surprise_above'\\?$"),
        ([rule(when={"hunger": 1}), RULES[-1]], "must be one of surprise_above, .*, got 'hunger'$"),
        ([rule(then={"horizons": 1}), RULES[-1]], "got 'horizons', did you mean 'horizon'\\?$"),
        ([rule(when={"surprise": 1}), RULES[-1]], "must be one of surprise_above, .*, got 'surprise'"),
        ([rule(when={"doubt_below": "much"}), RULES[-1]], "doubt_below in the rule 'some' must be finite"),
        ([rule(when={"doubt_below": math.nan}), RULES[-1]], "must be finite, got nan"),
        ([rule(then={"planner": "cem"}), RULES[-1]], "'some' may set mode, horizon, .*, got 'planner'"),
        ([rule(then={"mode": "sleep"}), RULES[-1]], "rule 'some', mode must be one of planning, .*, got 'sleep'"),
        ([rule(then={"horizon": 0}), RULES[-1]], "in the rule 'some', horizon must be at least 1, got 0"),
        (
            [rule(then={"horizon": 1.5}), RULES[-1]],
            "in the rule 'some', horizon must be a whole number, at least 1, got 1.5",
        ),
        ([rule(then={"num_evaluations": 0}), RULES[-1]], "num_evaluations must be a whole number of at least 1"),
        ([rule(then={"weights": {"beauty": 1.0}}), RULES[-1]], "must name one of the terms .*, got 'beauty'"),
        ([rule(then={"weights": {"control_effort": -1.0}}), RULES[-1]], "'control_effort' must be at least 0 and fin"),
        (
            [rule(then={"weights": {"control_effort": "a"}}), RULES[-1]],
            "'control_effort' must be at least 0 and finite, got 'a'",
        ),
        ([rule(then={"weights": {"goal_distance": 0.0}}), RULES[-1]], "at least one cost weight must be above 0"),
        (
            [rule(then={"switched_off": "clock"}), RULES[-1]],
            "rule 'some', switched_off must be a list of sensors, got 'cl",
        ),
        ([rule(then={"switched_off": [["clock"]]}), RULES[-1]], "in the rule 'some', switched_off must be a list of"),
        (
            [rule(then={"switched_off": 3}), RULES[-1]],
            "in the rule 'some', switched_off must be a list of sensors, got 3",
        ),
        ([rule(then={"weights": 1.0}), RULES[-1]], "weights in the rule 'some' must map cost terms to numbers"),
        ([rule()], "the last rule must have no condition, as in when: {}, got 'some' with {'surprise_above': 0.1}"),
        ([RULES[-1], rule()], "the rule 'else' has no condition, so it must be the last"),
        ([rule(), rule(), RULES[-1]], r"every rule must have a name of its own, got \['some', 'some', 'else'\]"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_in_one_sentence(make_configurator, rules, message):
    with pytest.raises(ValueError, match=message) as error:
        make_configurator(rules=rules)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("mode", ["planning", "reactive", "hybrid"])
def test_without_rules_it_is_always_the_same(make_configurator, mode):
    configurator = make_configurator(mode=mode, num_evaluations=100, milliseconds=20.0, chunk_size=16)
    for surprise in (0.0, 9.0):
        chosen = configurator.configure(replace(SITUATION, surprise=surprise))
        assert (chosen.mode, chosen.horizon, price(chosen)) == (mode, 3, 4.0)
        assert chosen.budget == Budget(num_evaluations=100, milliseconds=20.0, chunk_size=16)
