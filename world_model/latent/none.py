"""No latent variable: the dynamics foresee one future."""

from collections.abc import Mapping


def no_latent(*, embed_dim: int, action_dim: int, blocks: Mapping[str, slice]) -> None:
    """Returns that there is none, whatever every latent variable is told."""
