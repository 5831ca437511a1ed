"""What every yaml in configs/configurator promises."""

from itertools import product

import pytest

from agent.configurator.types import MODES, Situation
from agent.cost.intrinsic import ControlEffort
from agent.run.config.building import build
from agent.run.config.composing import ConfigError, compose_config, group_names
from agent.run.config.saved import read_config, save_config

SITUATIONS = [
    Situation(
        surprise=surprise,
        goal_distance=distance,
        cost_to_go=cost_to_go,
        doubt=doubt,
        steps_on_goal=steps,
        steps_without_progress=steps - 1,
        filled_sensors=filled,
        goal_index=0,
        num_goals=2,
    )
    for surprise, distance, (cost_to_go, doubt), steps, filled in product(
        (0.0, 1.0), (0.0, 1.0), ((0.0, 0.0), (20.0, 5.0), (None, None)), (1, 50), ((), ("tip",))
    )
]


@pytest.fixture(params=group_names()["configurator"])
def name(request):
    return request.param


def make(config):
    values = config.values
    terms = dict.fromkeys(values.cost, ControlEffort())  # nothing is priced here
    weights = {name: cost.weight for name, cost in values.cost.items()}
    return build(values.configurator, terms=terms, weights=weights, limits={})


def test_every_situation_has_its_configuration_and_always_the_same(name):
    configurator = make(compose_config([f"configurator={name}"]))
    for situation in SITUATIONS:
        chosen = configurator.configure(situation)
        assert any(chosen is it for it in configurator.configurations)
        assert configurator.configure(situation) is chosen


@pytest.mark.parametrize("mode", MODES)
def test_the_mode_follows_that_of_the_actor_unless_a_rule_sets_it(name, mode):
    config = compose_config([f"configurator={name}", f"actor.mode={mode}"])
    modes = {configuration.mode for configuration in make(config).configurations}
    assert modes == {mode} or "rules" in config.values.configurator


def test_horizon_budget_and_sub_goals_are_those_of_the_yaml(name):
    changes = ("horizon=4", "num_evaluations=77", "sub_goals.patience=6", "attention.switched_off=[tip]")
    configurator = make(compose_config([f"configurator={name}", *(f"configurator.{it}" for it in changes)]))
    assert 4 in {configuration.horizon for configuration in configurator.configurations}
    assert 77 in {configuration.budget.num_evaluations for configuration in configurator.configurations}
    assert configurator.sub_goals.patience == 6
    assert [configuration.attention.switched_off for configuration in configurator.configurations][-1] == ["tip"]


def test_it_is_read_back_as_it_was_saved_and_still_follows_the_actor(name, tmp_path):
    shipped = compose_config([f"configurator={name}"])
    save_config(shipped, tmp_path)
    assert compose_config([], base=read_config(tmp_path)).values.configurator == shipped.values.configurator
    reactive = compose_config(["actor.mode=reactive"], base=read_config(tmp_path))
    assert reactive.values.configurator.mode == "reactive"


def test_the_mode_is_changed_in_one_place(name):
    with pytest.raises(ConfigError, match=r"configurator\.mode follows actor\.mode: change that"):
        compose_config([f"configurator={name}", "configurator.mode=reactive"])


def test_a_mode_that_does_not_exist_is_one_sentence(name):
    with pytest.raises(ConfigError, match=r"actor\.mode must be one of planning, reactive, hybrid, got sleep"):
        make(compose_config([f"configurator={name}", "actor.mode=sleep"]))


def test_rules_are_one_value_of_the_command_line():
    rules = "[{name: near, when: {goal_distance_below: 0.1}, then: {mode: reactive}}, {name: else, when: {}, then: {}}]"
    configurator = make(compose_config(["configurator=rules", f"configurator.rules={rules}"]))
    assert [(it.rule, it.mode) for it in configurator.configurations] == [("near", "reactive"), ("else", "planning")]
