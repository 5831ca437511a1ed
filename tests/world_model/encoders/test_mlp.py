"""The encoder of a few numbers: without hidden layers it is a linear map."""

import pytest
import torch

from world_model.encoders.mlp import MLPEncoder


def make(num_layers, input_shape=(3,), embed_dim=2):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = MLPEncoder(input_shape=input_shape, embed_dim=embed_dim, hidden_dim=8, num_layers=num_layers)
        for parameter in encoder.parameters():
            torch.nn.init.normal_(parameter)
    return encoder.double()


@pytest.mark.parametrize(("num_layers", "is_linear"), [(0, True), (1, False)])
def test_without_hidden_layers_the_difference_of_two_embeddings_is_that_of_the_readings(num_layers, is_linear):
    encoder = make(num_layers)
    generator = torch.Generator().manual_seed(1)
    first, second, shift = (torch.randn(16, 3, generator=generator).double() for _ in range(3))
    before, after = encoder(first) - encoder(second), encoder(first + shift) - encoder(second + shift)
    assert torch.allclose(before, after) is is_linear


def test_fewer_layers_than_none_are_refused():
    with pytest.raises(ValueError, match=r"num_layers must be at least 0, got -1"):
        make(-1)
