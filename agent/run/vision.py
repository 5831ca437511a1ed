"""From a config to what an environment shows: which cameras, and what draws them."""

from functools import cache

from agent.run.config import Config, ConfigError
from envs.rendering import choose_backend
from envs.vision import Vision


def make_vision(config: Config) -> Vision | None:
    """Returns the cameras that a config asks for, or None; what draws them is tried once.

    Raises:
        ConfigError: A value does not fit, or nothing draws here what should.
    """
    observation, backends = config.values.observation, config.values.renderer.backends
    if not observation.cameras:
        return None
    try:
        return Vision(
            cameras=tuple(observation.cameras),
            image_size=observation.image_size,
            proprioception=observation.proprioception,
            backends=tuple(_drawing(backend) for backend in ([None] if backends is None else backends)),
        )
    except (ValueError, RuntimeError) as error:
        raise ConfigError(str(error)) from None


@cache
def _drawing(backend: str | None) -> str:
    """Returns the name of what draws."""
    return choose_backend(backend)
