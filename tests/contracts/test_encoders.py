"""What every encoder in configs/encoder promises."""

import pytest
import torch
from omegaconf import OmegaConf

from agent.run.config.building import build
from agent.run.config.composing import compose_config, group_names

EMBED_DIM = 4


@pytest.fixture(params=group_names()["encoder"])
def config(request):
    return compose_config([f"encoder={request.param}"]).values.encoder


@pytest.fixture(params=[(3,), (7,), (2, 2)], ids=str)
def input_shape(request):
    return request.param


def make(config, input_shape, **changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build(OmegaConf.merge(config, changes))(input_shape=input_shape, embed_dim=EMBED_DIM).eval()


def readings(input_shape, rows=64):
    return torch.randn(rows, *input_shape, generator=torch.Generator().manual_seed(1))


def test_untrained_embeddings_are_finite_and_spread_over_all_dimensions_that_there_are(config, input_shape):
    embeddings = make(config, input_shape)(readings(input_shape))
    assert embeddings.shape == (64, EMBED_DIM)
    assert torch.isfinite(embeddings).all()
    rank = torch.linalg.matrix_rank(embeddings - embeddings.mean(dim=0), rtol=1e-3)
    assert rank >= min(EMBED_DIM, readings(input_shape)[0].numel())


def test_a_reading_alone_is_embedded_as_in_a_batch(config, input_shape):
    encoder, rows = make(config, input_shape), readings(input_shape)
    together = encoder(rows)
    for index in range(8):
        torch.testing.assert_close(encoder(rows[index : index + 1])[0], together[index], rtol=1e-5, atol=1e-5)


def test_every_parameter_learns(config, input_shape):
    encoder = make(config, input_shape)
    targets = torch.randn(64, EMBED_DIM, generator=torch.Generator().manual_seed(2))
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
    before = [parameter.clone() for parameter in encoder.parameters()]
    for _ in range(3):
        optimizer.zero_grad()
        (encoder(readings(input_shape)) - targets).square().mean().backward()
        optimizer.step()
    for first, parameter in zip(before, encoder.parameters(), strict=True):
        assert not torch.equal(first, parameter)


def test_every_value_of_the_yaml_matters(config):
    def sizes(**changes):
        return [tensor.shape for tensor in make(config, (3,), **changes).state_dict().values()]

    for key, value in config.items():
        if not str(key).startswith("_"):
            assert sizes(**{key: value + 1}) != sizes(), key
