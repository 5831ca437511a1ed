import shlex
from fnmatch import fnmatchcase

import pytest

from agent.run.config.composing import compose_config, flatten
from agent.run.config.spelling import _NO_PART_OF_IT, spelled


def relevant(config):
    values = flatten(config.plain()["values"])
    return {key: it for key, it in values.items() if not any(fnmatchcase(key, one) for one in _NO_PART_OF_IT)}


@pytest.mark.parametrize(
    "changes",
    [
        [],
        ["env=push", "experiment=smoke", "seed=3"],
        ["env=push", "observation=pixels", "recipe=none", "policy=mlp", "critic=[cost_to_go,delta_step]"],
        ["critic=[cost_to_go]", "actor.mode=reactive", "world_model.embed_dims={tip:3}", "policy=mlp"],
        ["guardrails.limits=[box,rate]", "guardrails.max_rate=0.5", "renderer=raycast", "configurator=rules"],
        ["env=push", "critic=[]", "policy=null"],
        {"benchmark.published": ["a, b: 50 %", 'it\'s "c" {d} \\ e \\"', "end\\"]},
    ],
)
def test_what_is_spelled_composes_the_same(changes):
    config = compose_config(changes)
    again = compose_config(shlex.split(" ".join(spelled(config, section=None))))
    assert again.choices == config.choices
    assert relevant(again) == relevant(config)


def test_what_is_shipped_needs_no_word():
    assert spelled(compose_config([]), section=None) == ["env=reach", "observation=state"]
    smoke = compose_config(["env=push", "experiment=smoke", "output=elsewhere"])
    assert spelled(smoke, section=None) == ["env=push", "observation=state", "experiment=smoke"]


def test_on_a_saved_config_only_what_differs_is_spelled():
    saved = compose_config(["env=push", "seed=3"]).plain()
    asked = ["planner=mppi", "actor.mode=reactive", "num_episodes=7"]
    config = compose_config(asked, section="evaluate", base=saved)
    words = spelled(config, section="evaluate", base=saved)
    assert sorted(words) == sorted(asked)
    assert compose_config(shlex.split(" ".join(words)), section="evaluate", base=saved).plain() == config.plain()
