import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import pytest
from omegaconf import OmegaConf

from agent.run.cli.help import config_help
from agent.run.config.composing import ConfigError, compose_config, flatten, group_names
from agent.run.config.schema import Binding, Key, binding, is_leaf, key_of


def every_config():
    """Yields configs in which each yaml of each group is at least once, so that every shipped key is in one of them."""
    groups = group_names()
    for recipe in groups.pop("recipe"):
        yield compose_config([f"recipe={recipe}"])
    for index in range(max(map(len, groups.values()))):
        chosen = {group: names[index % len(names)] for group, names in groups.items()}
        many = {group: f"[{chosen.pop(group)}]" for group in ("cost", "critic")}
        yield compose_config(["recipe=none", *(f"{group}={name}" for group, name in (chosen | many).items())])


def test_every_shipped_value_is_one_that_the_schema_admits():
    seen = set()
    for config in every_config():
        for key, value in flatten(config.plain()["values"]).items():
            of = config.choices.get(key.split(".")[0])  # decides, with the key, what the value may be
            if (entry := (key, repr(value), str(of))) not in seen:
                seen.add(entry)
                wanted = key_of(key, config.values)
                assert wanted.admits(value), f"{key}={value!r} must be {wanted}"


def test_the_type_of_a_key_is_what_its_constructor_says():
    values = compose_config(["planner=mppi"]).values
    assert key_of("planner.num_elites", values) == Key(int | None)
    assert key_of("planner.temperature", values) == Key(float)
    assert key_of("configurator.attention.switched_off", values).admits(["tip"])


@pytest.mark.parametrize(
    ("key", "admitted", "refused", "said"),
    [
        (Key(int, 0, 999), [0, 999], [-1, 1000, 1.0, True, None, "1"], "a whole number in 0..999"),
        (
            Key(float | None, 0),
            [0, 0.5, None],
            [-0.1, math.nan, math.inf, False, "x"],
            "a number of at least 0, or null",
        ),
        (Key(bool), [True], [1, "true", None], "true or false"),
        (Key(Literal["gif", "mp4"]), ["gif"], ["avi", None], "one of gif, mp4"),
        (Key(Sequence[int | None]), [[], [1, None]], [[1.5], 1, "ab"], "a list of whole numbers, or null"),
        (Key(Mapping[str, int] | None), [{"tip": 3}, None], [{"tip": 0.5}, [3]], "a mapping to whole numbers, or null"),
    ],
)
def test_a_key_admits_its_type_within_its_range_and_says_so(key, admitted, refused, said):
    assert all(key.admits(value) for value in admitted)
    assert not any(key.admits(value) for value in refused)
    assert str(key) == said


@pytest.mark.parametrize(
    ("key", "bound"),
    [
        ("seed", Binding.TRAINED),
        ("planner", Binding.RECORDED),
        ("planner.num_samples", Binding.RECORDED),
        ("critic", Binding.TRAINED),
        ("critic.cost_to_go.weight", Binding.RECORDED),
        ("critic.cost_to_go.network.hidden_dim", Binding.TRAINED),
        ("cost.novelty.fit.num_centers", Binding.TRAINED),
        ("cost.novelty.weight", Binding.RECORDED),
        ("training.log_every", Binding.FREE),
        ("collect.num_episodes", Binding.TRAINED),
        ("collect.num_workers", Binding.FREE),
        ("evaluate.num_episodes", Binding.FREE),
        ("env.env_id", Binding.SHIPPED),
    ],
)
def test_each_key_says_what_is_bound_to_it(key, bound):
    assert binding(key) is bound


def test_a_whole_number_where_a_real_one_belongs_becomes_one():
    values = compose_config(["planner.init_std=2", "evaluate.fail_under=1"]).values
    assert OmegaConf.to_container(values)["planner"]["init_std"] == 2.0
    assert isinstance(values.planner.init_std, float) and isinstance(values.evaluate.fail_under, float)


@pytest.mark.parametrize("override", ["planner.num_knots=many", "planner.num_knots=1.5", "training.learning_rate=.nan"])
def test_what_a_constructor_could_not_take_is_refused_before_it_is_built(override):
    with pytest.raises(ConfigError, match=r"must be a (whole )?number.*, got "):
        compose_config([override])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("guardrails.workspace", {"low": [0.3, -0.2, 0.0], "high": [0.7, 0.2, 0.3]}),
        ("world_model.embed_dims", {"tip": 8, "tip_velocity": 4}),
    ],
)
def test_a_mapping_in_place_of_null_is_read_back_from_what_was_saved(key, value):
    config = compose_config({key: value})
    again = compose_config([], base=config.plain())
    assert again.plain() == config.plain()
    assert OmegaConf.to_container(OmegaConf.select(again.values, key)) == value


def test_the_keys_that_may_be_a_mapping_or_null_are_all_tried():
    values = compose_config([]).values
    found = {key for key in flatten(OmegaConf.to_container(values), inner=True) if is_leaf(key, values)}
    assert found == {"guardrails.workspace", "world_model.embed_dims"}


def test_help_says_of_every_key_what_it_may_be_and_whether_a_run_is_bound_to_it():
    chosen = ["planner=cem_gradient", "critic=[cost_to_go]", "policy=mlp"]
    config, text = compose_config(chosen), config_help("evaluate", chosen)
    for key in flatten(config.plain()["values"]):
        if key != "configurator.mode":  # follows another
            trained = "; trained" if binding(key) is Binding.TRAINED else ""
            said = rf"^ +{key.split('.')[-1]}: .* \[{re.escape(str(key_of(key, config.values)))}{trained}\]$"
            assert re.search(said, text, re.MULTILINE), key
