"""No latent variable: the dynamics foresee one future."""

from world_model.layout import Layout


def no_latent(*, layout: Layout, action_dim: int) -> None:
    """Returns that there is none, whatever every latent variable is told."""
