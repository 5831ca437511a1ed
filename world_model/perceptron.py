"""Hidden layers, as dynamics and latent variables are made of them."""

from torch import nn


def hidden_layers(input_dim: int, hidden_dim: int, num_layers: int) -> list[nn.Module]:
    """Returns linear layers of one width, each with its activation behind it."""
    layers: list[nn.Module] = []
    for layer in range(num_layers):
        layers += [nn.Linear(hidden_dim if layer else input_dim, hidden_dim), nn.SiLU()]
    return layers
