"""The schema: of every key its type, its range, whether null will do, and what is bound to its value.

A value that ends in a constructor has the type that the constructor's signature says, and the range that it checks. The
rest is said here, once: refusal, help, saved configs, resuming and what an evaluation may change all ask this file.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from functools import lru_cache
from inspect import signature
from pathlib import Path, PurePath
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from agent.evaluation.seeds import SPLIT_SIZE
from jepa_mpc.errors import UserError
from world_model.training.fit_settings import HARMLESS

VERSION = 3
"""Of what this file and the shipped yamls say together; a run that was saved under another one is not read."""


class Binding(Enum):
    """What is bound to a value, and so when it may differ."""

    SHIPPED = "belongs to a shipped yaml"
    TRAINED = "is bound to what was learned"
    RECORDED = "may change on a finished run; what is found with it is found anew"
    FREE = "may change at any time"


_BINDINGS: dict[str, Binding] = {  # the first that a key matches; what none does is RECORDED
    "env.*": Binding.SHIPPED,
    "*.num_workers": Binding.FREE,
    **{f"*.{name}": Binding.FREE for name in HARMLESS},
    **dict.fromkeys(("evaluate.goals", "evaluate.offset"), Binding.RECORDED),
    **dict.fromkeys(
        ("output", "train.*", "evaluate.*", "compare.*", "benchmark.*", "view.*", "latency.*", "surprise.*"),
        Binding.FREE,
    ),
    **dict.fromkeys(("seed", "env", "recipe", "collect.*", "critic"), Binding.TRAINED),
    **dict.fromkeys(("cost.*.fit.*", "critic.*.network.*", "critic.*.learning.*"), Binding.TRAINED),
    **{
        pattern: Binding.TRAINED
        for group in [
            "observation",
            "exploration",
            "world_model",
            "encoder",
            "image_encoder",
            "predictor",
            "latent",
            "regularizer",
            "training",
            "dynamics_training",
            "learning",
            "policy",
            "pictures",
        ]
        for pattern in (group, f"{group}.*")
    },
}


OPTIONAL_GROUPS = ("experiment", "policy", "recipe")
"""Groups of which none may be chosen."""

GROUPS_ON_ALL = ("experiment", "recipe")
"""Groups that change the keys of others."""

COST_GROUPS = {"cost": "term", "critic": "network"}
"""Groups of which several are chosen at once, each with a key that all of them have."""

NOTHING_CHOSEN: Mapping[str, Any] = {"critic": {}, "policy": None}
"""What stands where none of a group is chosen."""

NAMED_IN_FOLDER = ("env", "observation", "seed")
"""Keys after which an output folder is named, unless it is told."""

BUDGETS = ("configurator.num_evaluations", "configurator.milliseconds")
"""What a planner may spend."""

OF_POLICY_ALONE = (
    "num_plans",
    "refinement_steps",
    "refinement_batch_size",
    "refinement_horizon",
    "refinement_learning_rate",
)
"""Keys of `learning` that say nothing of critics: with others, critics stay as they are."""

BEHIND_A_POLICY = ("policy", "critic", "cost", "planner", "constraints", "guardrails")
"""Groups by which a policy that imitates is another one."""


@dataclass(frozen=True)
class Key:
    """What a value may be.

    Attributes:
        hint: As in a signature: `int`, `float | None`, `Sequence[str]`, `Literal["gif", "mp4"]`. A `Path` is a folder,
            a `PurePath` a file that is to be written.
        low: Least number, or None for any.
        high: Largest number, or None for any.
    """

    hint: Any
    low: float | None = None
    high: float | None = None

    def admits(self, value: Any) -> bool:
        """Returns whether a plain value will do; no number is infinite or NaN."""
        if not _fits(value, self.hint):
            return False
        if not isinstance(value, int | float):
            return True
        return (self.low is None or self.low <= value) and (self.high is None or value <= self.high)

    def read(self, value: Any) -> Any:
        """Returns a value that will do as its owner takes it: what should be a real number is one."""
        return float(value) if type(value) is int and int not in _alternatives(self.hint) else value

    def __str__(self) -> str:
        """Returns what is right, as "a whole number in 0..999, or null"."""
        wanted = _said(self.hint)
        if self.low is None:
            return wanted
        within = f"of at least {self.low}" if self.high is None else f"in {self.low}..{self.high}"
        what, comma, null = wanted.partition(",")
        return f"{what} {within}{comma}{null}"


_FOLDER = Key(Path | None)
_FILE = Key(PurePath | None)
_SPLIT = Key(Literal["evaluation", "validation"])
_KEYS = {  # of what is no constructor's
    "seed": Key(int, 0, 999),
    "output": _FOLDER,
    "actor.mode": Key(Literal["planning", "reactive", "hybrid"]),
    "actor.latency": Key(int | None, 0),
    "actor.learn_online": Key(bool),
    "collect.num_episodes": Key(int, 1, 1_000_000),
    "collect.num_steps": Key(int, 1, 1_000_000),
    "collect.num_workers": Key(int, 1),
    "train.data": _FOLDER,
    "evaluate.run": _FOLDER,
    "evaluate.split": _SPLIT,
    "evaluate.first_entry": Key(int, 0, SPLIT_SIZE - 1),
    "evaluate.num_episodes": Key(int, 1, SPLIT_SIZE),
    "evaluate.goals": Key(Literal["task", "episodes"]),
    "evaluate.offset": Key(int, 1, 1000),
    "evaluate.num_workers": Key(int, 1),
    "evaluate.oracle": Key(int, 0, SPLIT_SIZE),
    "evaluate.diagnose": Key(int, 0, SPLIT_SIZE),
    "evaluate.videos": Key(int, 0),
    "evaluate.video_format": Key(Literal["gif", "mp4", "webp"]),
    "evaluate.fail_under": Key(float | None, 0, 1),
    "compare.run": _FOLDER,
    "compare.planners": Key(Sequence[str] | None),
    "compare.budgets": Key(Sequence[int | None]),
    "compare.split": _SPLIT,
    "compare.num_episodes": Key(int, 1, SPLIT_SIZE),
    "compare.num_workers": Key(int, 1),
    "benchmark.tasks": Key(Sequence[str]),
    "benchmark.agents": Key(Sequence[str]),
    "benchmark.seeds": Key(Sequence[int]),
    "benchmark.split": _SPLIT,
    "benchmark.num_episodes": Key(int, 1, SPLIT_SIZE),
    "benchmark.num_workers": Key(int, 1),
    "benchmark.fail_under": Key(float | None, 0, 1),
    "benchmark.published": Key(Sequence[str]),
    "view.run": _FOLDER,
    "view.record": _FILE,
    "view.episode": Key(int, 0, SPLIT_SIZE - 1),
    "surprise.run": _FOLDER,
    "surprise.split": _SPLIT,
    "surprise.num_episodes": Key(int, 20, SPLIT_SIZE),
    "latency.run": _FOLDER,
    "latency.data": _FOLDER,
    "latency.max_latency": Key(int, 1),
    "observation.cameras": Key(Sequence[str]),
    "observation.image_size": Key(int),
    "observation.proprioception": Key(bool),
    "renderer.backends": Key(Sequence[str]),
    "exploration.area": Key(Mapping[str, Sequence[float]] | None),
    "world_model.embed_dims": Key(Mapping[str, int] | None),
    "world_model.camera_dim": Key(int, 1),
    "world_model.goal_dim": Key(int | None, 1),
    "world_model.relations": Key(Literal["auto"] | Sequence[Sequence[str]]),
    "cost.*.fit.sensor": Key(str | None),
    "cost.*.fit.ridge": Key(float, 0),
    "cost.*.fit.quantile": Key(float, 0, 1),
    "cost.*.fit.*": Key(int, 1),
    "cost.*.weight": Key(float, 0),
    "cost.*.limit": Key(float | None),
    "critic.*.weight": Key(float, 0),
    "critic.*.limit": Key(float | None),
}

PATHS: Mapping[str, str] = {
    name: "a folder" if it is _FOLDER else "a file"
    for key, it in _KEYS.items()
    if it is _FOLDER or it is _FILE
    for name in (key, key.split(".")[-1])
}
"""Keys that are taken as they are typed, with and without their section, to what they name."""


@lru_cache(maxsize=4096)
def binding(key: str) -> Binding:
    """Returns what is bound to a key, or to the choice of a group."""
    return next((bound for pattern, bound in _BINDINGS.items() if fnmatchcase(key, pattern)), Binding.RECORDED)


def is_leaf(key: str, values: DictConfig | None = None) -> bool:
    """Returns whether a mapping is a value itself, with keys of the user's own: one that might as well be null.

    Args:
        key: Dotted.
        values: A composed config that has the key, with its `_target_` entries; without it, constructors are not asked.
    """
    known = _known(key)
    if known is None and values is not None:
        owner, _, name = key.rpartition(".")
        target = OmegaConf.select(values, f"{owner}._target_")
        known = None if target is None or name not in _hints(target) else Key(_hints(target)[name])
    alternatives = () if known is None else _alternatives(known.hint)
    return NoneType in alternatives and any(get_origin(hint) is Mapping for hint in alternatives)


def key_of(key: str, values: DictConfig) -> Key:
    """Returns what a key of a composed config may be.

    Args:
        key: Dotted.
        values: The config, with its `_target_` entries.
    """
    known = _known(key)
    if known is not None:
        return known
    owner, _, name = key.rpartition(".")
    target = OmegaConf.select(values, f"{owner}._target_")
    return Key(type(OmegaConf.select(values, key)) if target is None else _hints(target)[name])


@lru_cache(maxsize=4096)
def _known(key: str) -> Key | None:
    """Returns what a key may be that is no constructor's."""
    return next((it for pattern, it in _KEYS.items() if fnmatchcase(key, pattern)), None)


@lru_cache(maxsize=256)
def _hints(target: str) -> dict[str, Any]:
    """Returns the types of a shipped constructor's arguments.

    Raises:
        UserError: There is none, as in a yaml of the user's own.
    """
    try:
        constructor = get_object(target)
    except ImportError:
        raise UserError(f"_target_ must name what Python finds, got '{target}'") from None
    return {name: it.annotation for name, it in signature(constructor, eval_str=True).parameters.items()}


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (Path, PurePath):
        return isinstance(value, str)
    if isinstance(hint, type) and get_origin(hint) is None:
        return isinstance(value, hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, alternative) for alternative in arguments)
    if origin is Literal:
        return value in arguments
    if origin is Mapping:
        return isinstance(value, dict) and all(_fits(it, arguments[1]) for it in value.values())
    if origin in (Sequence, Collection, tuple):
        return isinstance(value, list) and all(_fits(it, arguments[0]) for it in value)
    return False


_SAID = {
    bool: ("true or false", "true or false"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    Path: ("a folder", "folders"),
    PurePath: ("a file", "files"),
    NoneType: ("null", "null"),
    Any: ("any value", "values"),
}


def _said(hint: Any, *, several: bool = False) -> str:
    """Returns a type in words: one, or several of it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        named = [_said(it, several=several) for it in arguments if it is not NoneType]
        return " or ".join(named) + ", or null" * (NoneType in arguments)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin is Mapping:
        return f"{'mappings' if several else 'a mapping'} to {_said(arguments[1], several=True)}"
    if origin in (Sequence, Collection, tuple):
        return f"{'lists' if several else 'a list'} of {_said(arguments[0], several=True)}"
    return _SAID[hint][several]
