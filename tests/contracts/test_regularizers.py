"""What every regulariser in configs/regularizer promises."""

from functools import partial

import pytest
import torch
from omegaconf import OmegaConf

from agent.run.building import build
from agent.run.config import compose_config, group_names
from world_model.encoders.mlp import MLPEncoder
from world_model.jepa import JEPA
from world_model.predictors.residual_mlp import ResidualMLPPredictor


@pytest.fixture(params=group_names()["regularizer"])
def config(request):
    return compose_config([f"regularizer={request.param}"]).values.regularizer


@pytest.fixture
def model():
    return JEPA(
        sensors={"tip": (3,), "joints": (7,)},
        embed_dims={"tip": 3, "joints": 4},
        encoder=partial(MLPEncoder, hidden_dim=8, num_layers=1),
        predictor=partial(ResidualMLPPredictor, hidden_dim=8, num_layers=1),
        context_length=1,
        action_dim=3,
        action_repeat=1,
    )


def frames(batch=64):
    generator = torch.Generator().manual_seed(0)
    return {
        "tip": torch.randn(5, batch, 3, generator=generator),
        "joints": 2 * torch.rand(5, batch, 4, generator=generator),
    }


def loss(regularizer, blocks, seed=1):
    return regularizer.loss(blocks, torch.Generator().manual_seed(seed))


def observe():
    generator = torch.Generator().manual_seed(2)
    return {"tip": torch.randn(4, 5, 3, generator=generator), "joints": torch.randn(4, 5, 7, generator=generator)}


def nudge(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1


def outcome(config, model, **changes):
    """Returns the loss, and the targets after the model has moved by a step."""
    regularizer = build(OmegaConf.merge(config, changes))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    regularizer.attach(model)
    nudge(model)
    regularizer.update(model)
    targets = regularizer.targets(model, observe(), model.encode(observe())).detach()
    model.load_state_dict(state)
    return torch.cat([loss(regularizer, frames()).reshape(1), targets.flatten()])


def test_its_loss_is_a_finite_number_that_is_never_negative(config, model):
    regularizer = build(config)
    regularizer.attach(model)
    for blocks in (frames(), {name: torch.zeros_like(block) for name, block in frames().items()}):
        value = loss(regularizer, blocks)
        assert value.shape == () and torch.isfinite(value) and value >= 0


def test_its_gradient_is_finite_even_at_a_point(config, model):
    regularizer = build(config)
    blocks = {name: torch.zeros_like(block).requires_grad_() for name, block in frames().items()}
    value = loss(regularizer, blocks)
    if value.requires_grad:
        value.backward()
        assert all(torch.isfinite(block.grad).all() for block in blocks.values())


def test_the_order_of_a_batch_does_not_matter(config, model):
    regularizer = build(config)
    turned = {name: block.flip(1) for name, block in frames().items()}
    torch.testing.assert_close(loss(regularizer, turned), loss(regularizer, frames()))


def test_the_same_generator_gives_the_same_loss(config, model):
    regularizer = build(config)
    assert torch.equal(loss(regularizer, frames()), loss(regularizer, frames()))


def test_at_the_start_the_targets_are_the_embeddings(config, model):
    regularizer = build(config)
    regularizer.attach(model)
    embeddings = model.encode(observe())
    torch.testing.assert_close(regularizer.targets(model, observe(), embeddings), embeddings)


def test_what_it_keeps_is_restored_by_its_state(config, model):
    first, second = build(config), build(config)
    first.attach(model)
    nudge(model)
    second.attach(model)
    first.update(model)
    second.load_state_dict(first.state_dict())
    embeddings = model.encode(observe())
    torch.testing.assert_close(
        second.targets(model, observe(), embeddings), first.targets(model, observe(), embeddings)
    )


def test_it_says_its_values(config):
    text = repr(build(config))
    for key, value in config.items():
        if not str(key).startswith("_"):
            assert f"{key}={value}" in text


def test_every_value_of_the_yaml_matters(config, model):
    ordinary = outcome(config, model)
    for key, value in config.items():
        if not str(key).startswith("_"):
            changed = value + 1 if isinstance(value, int) else value / 2
            assert not torch.equal(outcome(config, model, **{key: changed}), ordinary), key
