"""From a config to a task: which one, by which cameras the agent sees it, and what draws them."""

from dataclasses import replace
from functools import partial
from inspect import Parameter, signature

from omegaconf import OmegaConf

from agent.run.config.building import build
from agent.run.config.composing import Config, ConfigError
from agent.run.config.refusals import refusals
from envs.rendering import choose_backend
from envs.types import Task, TaskFactory
from envs.vision import Vision
from jepa_mpc.hints import hint


def task_factory(config: Config) -> TaskFactory:
    """Returns what makes the task that a config asks for, here or in another process.

    Raises:
        ConfigError: Its yaml, which may be one of the user's own, does not fit its target.
    """
    place = f"configs/env/{config.choices['env']}.yaml"
    if OmegaConf.select(config.values, "env._partial_") is not True:
        raise ConfigError(f"{place} must say `_partial_: true` beside its _target_: it tells how tasks are made")
    factory: partial[Task] = build(config.values.env)
    parameters = signature(factory.func).parameters
    takes_any = any(it.kind is Parameter.VAR_KEYWORD for it in parameters.values())
    for key in [] if takes_any else sorted(factory.keywords.keys() - parameters.keys()):
        raise ConfigError(f"{place} must have no key '{key}'{hint(key, parameters)}")
    try:
        signature(factory).bind(vision=None, film_size=None)
    except TypeError as error:
        raise ConfigError(f"{place} must have every key of its target: {error}") from None
    return factory


def configured_task(config: Config) -> Task:
    """Returns the task that a config asks for, with its cameras.

    Raises:
        ConfigError: It has no such camera, or see `make_vision`.
    """
    vision, make_task = make_vision(config), task_factory(config)
    try:
        return make_task(vision=vision, film_size=None)
    except ValueError as error:
        with refusals("observation." if str(error).startswith("cameras") else ""):
            raise


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
    if config.choices["observation"] == "state":
        raise ConfigError(
            f"observation.cameras must be [] where observation=state, got {list(observation.cameras)}: "
            "choose observation=pixels or pixels+proprio for cameras"
        )
    try:
        vision = Vision(
            cameras=tuple(observation.cameras),
            image_size=observation.image_size,
            proprioception=observation.proprioception,
            backends=tuple(backends),
        )
    except ValueError as error:
        with refusals("renderer." if str(error).startswith("backends") else "observation."):
            raise
    with refusals("renderer.backends: "):
        drawing = [choose_backend(backend) for backend in backends]
    return replace(vision, backends=tuple(dict.fromkeys(drawing)))
