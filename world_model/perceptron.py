"""Layers, as encoders, dynamics and latent variables are made of them."""

from torch import nn


def hidden_layers(input_dim: int, hidden_dim: int, num_layers: int) -> list[nn.Module]:
    """Returns linear layers of one width, each with its activation behind it."""
    layers: list[nn.Module] = []
    for layer in range(num_layers):
        layers += [nn.Linear(hidden_dim if layer else input_dim, hidden_dim), nn.SiLU()]
    return layers


def zero_linear(input_dim: int, output_dim: int) -> nn.Linear:
    """Returns a last layer whose first outputs are 0: untrained, what it is added to stays as it is."""
    layer = nn.Linear(input_dim, output_dim)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
