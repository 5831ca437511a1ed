import pytest

from agent.evaluation.diagnosis import BUDGET_FACTOR, EXCHANGES, PARTS, format_diagnosis, make_diagnosis, missing_part
from agent.run.config.composing import compose_config
from agent.run.stages.diagnose import exchanged


def successes(*helped):
    return {agent: agent in helped for agent in EXCHANGES}


@pytest.mark.parametrize(
    ("helped", "part"),
    [
        (["actor_with_larger_budget"], "budget"),
        (EXCHANGES, "budget"),
        (["oracle", "oracle_with_larger_budget"], "model"),
        (["oracle_with_larger_budget"], "planner"),
        ([], "cost"),
    ],
)
def test_what_helps_first_is_what_was_missing(helped, part):
    assert missing_part(successes(*helped)) == part


def test_every_replayed_episode_is_told_by_one_part():
    replays = [{"seed": 1, "outcome": "went_past", "successes": successes("oracle")}]
    replays.append({"seed": 2, "outcome": "never_touched", "successes": successes()})
    found = make_diagnosis(replays, num_failed=7)
    assert found["parts"] == {"budget": 0, "model": 1, "planner": 0, "cost": 1} and list(found["parts"]) == list(PARTS)
    assert "in 2 of 7 failed episodes" in format_diagnosis(found)
    assert "nothing to diagnose" in format_diagnosis(make_diagnosis([], num_failed=0))


@pytest.mark.parametrize(
    "planner", ["cem", "icem", "mppi", "cem_gradient", "beam_search", "gradient", "collocation", "random_shooting"]
)
def test_a_larger_budget_lets_any_planner_try_more_candidates(planner):
    config = compose_config([f"planner={planner}", "configurator.num_evaluations=100"])
    name, larger = exchanged("oracle_with_larger_budget", config)
    assert name == "oracle" and larger.values.configurator.num_evaluations == 100 * BUDGET_FACTOR
    before, after = config.plain()["values"]["planner"], larger.plain()["values"]["planner"]
    assert before != after
    assert exchanged("actor", config) == ("actor", config)


def test_rules_that_say_what_is_spent_grant_more_too():
    config = compose_config(["env=push", "configurator=rules"])
    _, larger = exchanged("actor_with_larger_budget", config)
    granted = [
        [rule["then"].get("num_evaluations") for rule in it.plain()["values"]["configurator"]["rules"]]
        for it in (config, larger)
    ]
    assert granted[1] == [None if it is None else it * BUDGET_FACTOR for it in granted[0]] and granted[0][0] == 512
