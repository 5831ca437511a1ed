"""From a config to what an environment shows: which cameras, and what draws them."""

from dataclasses import replace
from functools import cache

from agent.run.config import Config, ConfigError
from envs.collection import make_env
from envs.rendering import choose_backend
from envs.rollout import GoalConditionedEnv
from envs.vision import Vision


def configured_env(config: Config) -> GoalConditionedEnv:
    """Returns the environment that a config asks for, with its cameras.

    Raises:
        ConfigError: It has no such camera, or see `make_vision`.
    """
    vision = make_vision(config)
    try:
        return make_env(config.values.env.env_id, vision)
    except ValueError as error:
        raise ConfigError(f"observation.{error}") from None


def make_vision(config: Config) -> Vision | None:
    """Returns the cameras that a config asks for, or None; what draws them is tried once.

    Raises:
        ConfigError: A value does not fit, or nothing draws here what should.
    """
    observation, backends = config.values.observation, config.values.renderer.backends
    if not observation.cameras:
        if config.choices["observation"] != "state":
            raise ConfigError(
                f"observation.cameras must name a camera where observation={config.choices['observation']}, got []: "
                "choose observation=state for none"
            )
        return None
    try:
        vision = Vision(
            cameras=tuple(observation.cameras),
            image_size=observation.image_size,
            proprioception=observation.proprioception,
            backends=("auto",) if backends is None else tuple(backends),
        )
        drawing = [None] if backends is None else backends
        return replace(vision, backends=tuple(_drawing(backend) for backend in drawing))
    except (ValueError, RuntimeError) as error:
        raise ConfigError(str(error)) from None


@cache
def _drawing(backend: str | None) -> str:
    """Returns the name of what draws."""
    return choose_backend(backend)
