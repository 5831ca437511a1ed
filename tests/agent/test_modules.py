"""World models as a config builds them: which sensors are seen from each other."""

from dataclasses import replace

import pytest
import torch

from agent.run.config.composing import ConfigError, compose_config
from agent.run.stages.modules import build_world_model, model_configs
from agent.run.stages.vision import configured_task


@pytest.fixture(scope="module")
def push_spec():
    return configured_task(compose_config(["env=push"])).spec


def build(spec, *changes):
    return build_world_model(model_configs(compose_config(["env=push", *changes])), spec)


def test_sensors_of_one_unit_and_size_are_found(push_spec):
    model = build(push_spec, "world_model.relations=auto")
    assert set(model.blocks) == {"tip", "block_position", "block_orientation"}
    assert model.encoder("tip") is model.encoder("block_position")
    assert model.normalizer("tip") is model.normalizer("block_position")
    assert model.encoder("block_orientation") is not model.encoder("tip")


def test_what_is_related_is_embedded_alike_and_nothing_else_is(push_spec):
    place = torch.tensor([0.5, 0.1, 0.03])
    related, apart = (build(push_spec, f"world_model.relations={it}") for it in ("[[tip,block_position]]", "[]"))
    readings = {name: torch.zeros(1, 1, *shape) for name, shape in related.sensors.items()}
    readings |= dict.fromkeys(("tip", "block_position"), place.expand(1, 1, 3))
    for model, alike in ((related, True), (apart, False)):
        embedding = model.eval().encode(readings)[0, 0]
        tip, block = (embedding[model.blocks[name]] for name in ("tip", "block_position"))
        assert torch.equal(tip, block) is alike


@pytest.mark.parametrize(
    ("relations", "message"),
    [
        (
            "[[tip,block_orientation]]",
            "sensors of one unit in each group, .* got 'tip' in m, 'block_ori",
        ),
        ("[[tip]]", r"groups of at least two of the sensors .*, got \['tip'\]"),
        ("[[tip,wheel]]", r"of the sensors \['block_orientation', 'block_position', 'tip'\].*, got \['tip', 'wheel'\]"),
        ("[[tip,block_position],[block_position,tip]]", "each in one group"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(push_spec, relations, message):
    with pytest.raises(ConfigError, match=message):
        build(push_spec, f"world_model.relations={relations}")


def test_related_sensors_need_blocks_of_one_size(push_spec):
    sizes = "world_model.embed_dims={tip:3,block_position:2}"
    with pytest.raises(ConfigError, match="one block size, got 3 of 'tip' and 2 of 'block_position'"):
        build(push_spec, "world_model.relations=[[tip,block_position]]", sizes)
    model = build(push_spec, "world_model.relations=auto", sizes)
    assert model.encoder("tip") is not model.encoder("block_position")


def test_where_no_unit_is_told_nothing_is_found(push_spec):
    sensors = {name: replace(sensor, unit="") for name, sensor in push_spec.sensors.items()}
    model = build(replace(push_spec, sensors=sensors), "world_model.relations=auto")
    assert model.encoder("tip") is not model.encoder("block_position")
