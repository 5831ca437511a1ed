"""The parts of the agent that learn: how a config builds them, and how a checkpoint keeps them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from agent.actions import free_bounds
from agent.cost.critic import CriticNetwork
from agent.cost.intrinsic import ActionCost
from agent.cost.statistics import FittedCost
from agent.cost.types import Cost
from agent.cost.units import InUnits
from agent.policy import MLPPolicy
from agent.run.config.building import build, shipped
from agent.run.config.composing import Config, ConfigError
from agent.run.config.randomness import first_weights
from agent.run.config.refusals import refusals
from envs.spec import Box, DiscreteActions, Sensor, TaskSpec
from world_model.action_encoders import BoxActionEncoder, DiscreteActionEncoder
from world_model.jepa import JEPA
from world_model.latent.base import Latent
from world_model.layout import Layout
from world_model.training.checkpoint import Checkpoint, CheckpointError, section_sha256
from world_model.types import is_image

MODEL_GROUPS = ("world_model", "encoder", "image_encoder", "predictor", "latent")
"""Config groups that say how a world model is built; a checkpoint keeps their names and values."""

WORLD_MODEL = "world_model"
"""The section of a checkpoint on which all others stand."""

_CORNERS = {"low": -math.inf, "high": math.inf}  # of a box in which a position is to stay, and where it has no wall


@dataclass(frozen=True)
class Modules:
    """What learns.

    Attributes:
        spec: Of the task.
        world_model: Perceives and imagines.
        terms: Intrinsic cost terms by name; some of them hold frozen statistics of the training data.
        critics: By name.
        policy: Mode 1, or None.
    """

    spec: TaskSpec
    world_model: JEPA
    terms: Mapping[str, Cost]
    critics: Mapping[str, CriticNetwork]
    policy: MLPPolicy | None

    @property
    def fitted_terms(self) -> dict[str, FittedCost]:
        """Those cost terms that hold statistics."""
        return {name: term for name, term in self.terms.items() if isinstance(term, FittedCost)}

    @property
    def sections(self) -> dict[str, nn.Module]:
        """Section of a checkpoint to what is saved there; a part that the agent does without has none."""
        sections: dict[str, nn.Module] = {
            WORLD_MODEL: self.world_model,
            "intrinsic": nn.ModuleDict(self.fitted_terms),
            "critic": nn.ModuleDict(self.critics),
        }
        if self.policy is not None:
            sections["policy"] = self.policy
        return {name: module for name, module in sections.items() if module.state_dict()}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Takes over what a checkpoint holds, and freezes it.

        Raises:
            CheckpointError: It lacks a part, or a part was trained on another world model.
        """
        for section, module in self.sections.items():
            if section != WORLD_MODEL and section in checkpoint.sections:
                expected = checkpoint.metadata.bonds.get(section)
                found = bond(checkpoint.sections, section)
                if found != expected:
                    raise CheckpointError(
                        f"the section '{section}' must have been trained on the world model beside it, "
                        f"their common hash should be {str(expected)[:12]} and is {found[:12]}: train it anew"
                    )
            checkpoint.restore(section, module)
            module.eval().requires_grad_(False)


def bond(sections: Mapping[str, Mapping[str, Tensor]], section: str) -> str:
    """Returns a hash of a section together with the world model beside it: neither can be exchanged alone."""
    parts = (WORLD_MODEL, section)
    return section_sha256({f"{part}.{name}": it for part in parts for name, it in sections.get(part, {}).items()})


def model_configs(config: Config) -> dict[str, Any]:
    """Returns how a config builds its world model, as a checkpoint keeps it."""
    return {group: config.named(group) for group in MODEL_GROUPS}


def build_modules(config: Config, models: Mapping[str, Any], spec: TaskSpec) -> Modules:
    """Returns untrained modules; the first weights of each are the seed's, whatever else is built.

    Args:
        config: Says which cost terms, critics and policy there are.
        models: Each of `MODEL_GROUPS` to its `{"name", "values"}`.
        spec: Of the task.
    """
    values = config.values
    with first_weights(config, WORLD_MODEL):
        world_model = build_world_model(models, spec)
    critics, policy = {}, None
    for name, critic in values.critic.items():
        with first_weights(config, f"critic.{name}"):
            critics[name] = build(critic.network, embed_dim=world_model.embed_dim)
    if values.policy is not None:
        with first_weights(config, "policy"):
            policy = build(values.policy.network, embed_dim=world_model.embed_dim, bounds=free_bounds(spec.actions))
    with first_weights(config, "cost"):
        terms = _build_terms(config, world_model, spec)
    return Modules(
        spec=spec,
        world_model=world_model,
        terms=terms,
        critics=critics,
        policy=policy,
    )


def build_world_model(models: Mapping[str, Any], spec: TaskSpec) -> JEPA:
    """Returns an untrained world model for a task.

    Args:
        models: Each of `MODEL_GROUPS` to its `{"name", "values"}`.
        spec: Of the task.
    """
    groups = {group: shipped(group, models[group]) for group in MODEL_GROUPS}
    sensors = {name: spec.sensors[name] for name in spec.perceived}
    embed_dims, camera_dim = groups["world_model"].embed_dims, groups["world_model"].pop("camera_dim")
    if embed_dims is None:
        embed_dims = {name: math.prod(it.shape) for name, it in sensors.items() if not it.is_image}
    elif not isinstance(embed_dims, Mapping) or not all(isinstance(size, int) for size in embed_dims.values()):
        raise ConfigError(f"world_model.embed_dims must map sensors to sizes, as in {{tip: 3}}, got {embed_dims}")
    cameras = {name: camera_dim for name, it in sensors.items() if it.is_image}
    groups["world_model"].embed_dims = {**cameras, **embed_dims}
    kinds = _kinds(
        groups["world_model"].pop("relations"),
        {name: sensors[name] for name in embed_dims if name in sensors},
        embed_dims,
    )
    model = build(
        groups["world_model"],
        sensors={name: it.shape for name, it in sensors.items()},
        kinds=kinds,
        action_dim=spec.action_dim,
        encoder=partial(_build_encoder, of_numbers=build(groups["encoder"]), of_images=build(groups["image_encoder"])),
        action_encoder=DiscreteActionEncoder if isinstance(spec.actions, DiscreteActions) else BoxActionEncoder,
        dynamics=build(groups["predictor"]),
        latent=partial(_build_latent, groups["latent"], spec),
    )
    assert isinstance(model, JEPA)
    return model


def _kinds(
    relations: str | Sequence[Sequence[str]], sensors: Mapping[str, Sensor], embed_dims: Mapping[str, int]
) -> list[list[str]]:
    """Returns the groups of sensors whose differences the dynamics see.

    Args:
        relations: The groups, or "auto" for all sensors that read as many numbers in one unit, with blocks of one size.
        sensors: Those with a block that read numbers.
        embed_dims: Sizes of their blocks.

    Raises:
        ConfigError: A group names sensors in different units, or in none.
    """
    if relations == "auto":
        kinds: dict[tuple[str, tuple[int, ...], int], list[str]] = {}
        for name, sensor in sensors.items():
            kinds.setdefault((sensor.unit, sensor.shape, embed_dims[name]), []).append(name)
        return [names for (unit, *_), names in kinds.items() if unit and len(names) > 1]
    for names in relations:
        units = {name: sensors[name].unit for name in names if name in sensors}
        if len(set(units.values())) > 1 or "" in units.values():
            said = ", ".join(f"'{name}' in {unit or 'no unit'}" for name, unit in units.items())
            raise ConfigError(
                f"world_model.relations must name sensors of one unit in each group, as positions in m, got {said}"
            )
    return [list(names) for names in relations]


def _build_encoder(
    *,
    input_shape: tuple[int, ...],
    of_numbers: Callable[..., nn.Module],
    of_images: Callable[..., nn.Module],
    **values: Any,
) -> nn.Module:
    """Returns the encoder of a sensor, by whether it is a camera."""
    group, encoder = ("image_encoder", of_images) if is_image(input_shape) else ("encoder", of_numbers)
    with refusals(f"{group}: "):
        return encoder(input_shape=input_shape, **values)


def _build_latent(config: DictConfig, spec: TaskSpec, *, layout: Layout, action_dim: int) -> Latent | None:
    """Returns the latent variable; where it is not told which blocks have one, all have but the effector's."""
    if "sensors" in config and config.sensors is None:
        own = None if spec.effector is None else spec.effector.sensor
        config = OmegaConf.merge(
            config, {"sensors": [name for name in layout.blocks if name != own] or list(layout.blocks)}
        )  # type: ignore[assignment]
    with refusals("latent: "):
        latent: Latent | None = build(config)(layout=layout, action_dim=action_dim)
    return latent


def _build_terms(config: Config, world_model: JEPA, spec: TaskSpec) -> dict[str, Cost]:
    """Returns the cost terms; one that the task has no position for is left out, if it weighs nothing.

    That is one that needs a position where nothing tells it, or whose box has more or fewer numbers than the position.

    Raises:
        ConfigError: Such a term weighs something.
    """
    seen = {name: spec.shapes[name] for name in spec.perceived if not spec.sensors[name].is_image}
    terms = {}
    for name, cost in config.values.cost.items():
        fit = dict(cost.get("fit", {}))
        if "sensor" in fit:
            if fit["sensor"] is None and spec.effector is not None:
                fit["sensor"] = spec.effector.sensor
            if fit["sensor"] not in seen:
                if not _weighs(config, name):
                    continue
                raise ConfigError(
                    f"the cost '{name}' needs the position of a point: cost.{name}.fit.sensor must be among the "
                    f"numbers that the agent sees of {spec.task_id}, {sorted(seen)}, got "
                    f"{'none, and no effector' if fit['sensor'] is None else repr(fit['sensor'])}; do without it by "
                    f"cost.{name}.weight=0 and cost.{name}.limit=null"
                )
            box = _box(cost, fit["sensor"], spec)
            if any(len(it) != math.prod(seen[fit["sensor"]]) for it in box.values()) and not _weighs(config, name):
                continue
            fit |= box
        terms[name] = _build_term(cost, fit, world_model, spec, seen)
    return terms


def _box(cost: DictConfig, sensor: str, spec: TaskSpec) -> dict[str, list[float]]:
    """Returns the corners of a cost term's box: the yaml's, or else those of where the effector may be sent.

    A dimension in which the effector is fixed has no walls: what a probe reads there is never quite that.
    """
    corners = {}
    for name, nowhere in _CORNERS.items():
        if name in cost.term and cost.term[name] is not None:
            corners[name] = list(cost.term[name])
        elif name in cost.term:
            own = spec.effector is not None and spec.effector.sensor == sensor
            box = spec.effector.workspace if own and spec.effector is not None else Box((), ())
            pairs = zip(getattr(box, name), box.low, box.high, strict=True)
            corners[name] = [nowhere if low == high else corner for corner, low, high in pairs]
    return corners


def _weighs(config: Config, name: str) -> bool:
    """Returns whether a cost term counts, by its own weight or limit or by that of a rule."""
    cost, rules = config.values.cost[name], config.values.configurator.rules
    given = [rule["then"].get("weights", {}) for rule in rules if isinstance(rule.get("then"), Mapping)]
    return bool(cost.weight > 0 or cost.limit is not None or any(name in weights for weights in given))


def _build_term(
    cost: DictConfig, fit: Mapping[str, Any], world_model: JEPA, spec: TaskSpec, seen: Mapping[str, tuple[int, ...]]
) -> Cost:
    """Returns a cost term; one that is fitted to the training data is told how, and what an embedding is made of."""
    further = {}
    if issubclass(get_class(cost.term._target_), FittedCost):
        further = {"blocks": dict(world_model.blocks), "sensors": dict(seen), **fit}
    term: Cost = build(cost.term, **further)
    if not isinstance(term, ActionCost):
        return term
    bounds, idle = free_bounds(spec.actions), spec.actions.idle_action
    origin = bounds.center if idle is None else bounds.center.new_tensor(idle)
    return InUnits(term, origin=origin, half_range=bounds.half_range)
