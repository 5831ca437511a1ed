"""Configs: shipped groups of yamls, chosen by name and changed by value."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from agent.run.config import schema
from agent.run.config.schema import Binding
from agent.run.config.shipped import compose_shipped
from jepa_mpc.errors import UserError
from jepa_mpc.hints import hint

_RECIPE = "recipe"


Changes = Sequence[str] | Mapping[str, Any]
"""What is asked for: on the command line `["env=push", "collect.num_episodes=10"]`, from Python a mapping."""


class ConfigError(UserError):
    """A config that cannot be used."""


@dataclass(frozen=True)
class Config:
    """A composed config.

    Attributes:
        choices: Config group to the chosen yaml's name, or names.
        values: The tree of values, with the shipped `_target_` entries.
    """

    choices: Mapping[str, str | list[str] | None]
    values: DictConfig

    def plain(self) -> dict[str, Any]:
        """Returns what may be saved: choices and resolved values, without any `_target_`."""
        return {
            "schema": schema.VERSION,
            "choices": dict(self.choices),
            "values": _without_code(OmegaConf.to_container(self.values, resolve=True)),
        }

    @property
    def recipe(self) -> str:
        """What is said of the recipe: its name, and whether env and observation chose it."""
        env, observation, recipe = (self.choices[group] for group in ("env", "observation", _RECIPE))
        if recipe != _default_recipe(self.choices):
            return f"recipe {recipe}"
        return f"recipe {recipe}, that of env={env} and observation={observation}; recipe=NAME chooses another"

    def named(self, group: str) -> dict[str, Any]:
        """Returns one group as a checkpoint keeps it: `{"name", "values"}`."""
        return {"name": self.choices[group], "values": self.plain()["values"][group]}


def group_names() -> dict[str, list[str]]:
    """Returns the shipped config groups, each with the names of its yamls."""
    folders = [entry for entry in files("configs").iterdir() if entry.is_dir() and not entry.name.startswith("_")]
    return {
        folder.name: sorted(
            entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")
        )
        for folder in sorted(folders, key=lambda folder: folder.name)
    }


def compose_config(changes: Changes, *, section: str | None = None, base: Mapping[str, Any] | None = None) -> Config:
    """Composes the shipped yamls, a saved config and what is asked for, the later on top.

    Args:
        changes: As `read_changes` takes them.
        section: The command's own section, in which a bare key will do.
        base: A saved config, as `Config.plain` returned it.

    Raises:
        ConfigError: An unknown key, group or name, or a value of another kind.
    """
    asked, groups = read_changes(changes), group_names()
    chosen = {key: value for key, value in asked.items() if key in groups and not isinstance(value, dict)}
    choices = chosen if base is None else {**base["choices"], **chosen}
    _check_choices(choices, groups)
    if choices.get(_RECIPE) is None:
        choices[_RECIPE] = _default_recipe(choices)

    config = _compose(choices)
    shipped, known = _known(json.dumps({**choices, "experiment": None}))
    if base is not None:
        _, there = _known(json.dumps({"experiment": None, **choices}))
        saved = flatten(base["values"], values=config.values)
        saved = {key: value for key, value in saved.items() if key.split(".")[0] not in chosen}
        changes = _changes_of_experiment(choices) if "experiment" in chosen else {}
        evaluated = {key: value for key, value in changes.items() if schema.binding(key) is not Binding.TRAINED}
        for key, value in (saved | evaluated).items():
            is_there = key in there and type(there[key]) is type(value) and there[key] == value
            if not is_there and not _follows(known.get(key)):
                _change(config.values, key, value, known)
    for key, value in asked.items():
        if key not in chosen:
            for full_key, it in _leaves(_full_key(key, known, section), value, known, shipped):
                _change(config.values, full_key, it, known)
    if base is not None:
        _check_trained(config, base)
    OmegaConf.resolve(config.values)
    return config


def read_changes(changes: Changes) -> dict[str, Any]:
    """Returns changes as key to value, in their order.

    Args:
        changes: `key=value` as on the command line; or a mapping, as from Python, of keys to values. A value that is a
            mapping itself changes the keys below: `{"collect": {"num_episodes": 10}}` is `collect.num_episodes=10`.

    Raises:
        ConfigError: What is said is not of that form.
    """
    if isinstance(changes, str):
        raise ConfigError(f"changes must be a list, as in ['{changes}'], or a mapping, got '{changes}'")
    if isinstance(changes, Mapping):
        return {str(key): _plain(value) for key, value in changes.items()}
    return dict(map(_parse, changes))


def _plain(value: Any) -> Any:
    """Returns a value from Python as it would stand in a yaml."""
    if isinstance(value, Mapping):
        return {str(key): _plain(it) for key, it in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(it) for it in value]
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value


def _leaves(key: str, value: Any, shipped: Mapping[str, Any], values: DictConfig) -> Iterator[tuple[str, Any]]:
    """Yields each key that a value changes: itself, or those below it."""
    if isinstance(value, dict) and isinstance(shipped.get(key), dict) and not schema.is_leaf(key, values):
        for name, it in value.items():
            yield from _leaves(f"{key}.{name}", it, shipped, values)
    elif key in schema.PATHS and isinstance(value, str):
        yield key, str(folder(value, f"{key}={value}", what=schema.PATHS[key]))
    else:
        yield key, value


def _parse(text: str) -> tuple[str, Any]:
    """Returns key and value of an override; paths are taken as they are typed."""
    if "${" in text:
        raise ConfigError(f"'{text}' holds '${{', by which a config means another of its values: write that value")
    key, equals, path = text.partition("=")
    if equals and key in schema.PATHS:
        return key, path
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException:
        raise ConfigError(f"'{text}' must be key=value, as in seed=1 or planner.num_samples=512") from None
    if override.is_add() or override.is_delete() or override.is_force_add() or override.package is not None:
        raise ConfigError(f"'{text}' must change a key that exists, as key=value")
    if override.is_sweep_override():
        raise ConfigError(f"'{text}' has several values: add -m to run once with each")
    return override.key_or_group, override.value()


def folder(path: str, named_by: str, *, what: str = "a folder") -> Path:
    """Returns a folder as it was typed, whatever characters are in its name; `~` at the beginning is home.

    Args:
        path: As it was typed.
        named_by: The whole of what was typed.
        what: It is, where it is a file.

    Raises:
        ConfigError: It names none.
    """
    if not path:
        raise ConfigError(f"'{named_by}' must name {what}")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigError(
            f"'{named_by}' asks for the home of somebody unknown here; {what} of that name is ./{path}"
        ) from None


def _check_trained(config: Config, base: Mapping[str, Any]) -> None:
    """Refuses to change what a trained model was made with."""
    plain = config.plain()
    for part in ("choices", "values"):
        current, trained = flatten(plain[part]), flatten(base[part])
        for key, value in current.items():
            if schema.binding(key) is Binding.TRAINED and key in trained and trained[key] != value:
                raise ConfigError(
                    f"the run was made with {key}={typed(trained[key])}, got {key}={typed(value)}: train anew for that"
                )


def _compose(choices: Mapping[str, Any]) -> Config:
    """Composes the shipped yamls of these names; a group that is not named is that of run.yaml."""
    spelled = [_spelled(group, name) for group, name in choices.items() if name is not None or group == "policy"]
    try:
        values, chosen = compose_shipped(spelled)
    except HydraException as error:
        raise ConfigError(" ".join(str(error).split())) from None
    for group, nothing in schema.NOTHING_CHOSEN.items():
        if group not in values:
            values[group] = nothing
    for group, key in schema.COST_GROUPS.items():  # a recipe may set a value of what was not chosen
        for name in [name for name in values[group] if key not in values[group][name]]:
            del values[group][name]
    OmegaConf.set_struct(values, True)
    return Config(
        choices={"policy": None, **chosen, **{group: list(values[group]) for group in schema.COST_GROUPS}},
        values=values,
    )


@lru_cache(maxsize=64)
def _known(choices: str) -> tuple[DictConfig, Mapping[str, Any]]:
    """Returns the values of the shipped yamls of these names, JSON, and every key that they have: for reading alone."""
    values = _compose(json.loads(choices)).values
    return values, flatten(_without_code(OmegaConf.to_container(values)), inner=True, values=values)


def _spelled(group: str, name: str | list[str] | None) -> str:
    """Returns a choice as Hydra wants it; None takes the group out."""
    if name is None:
        return f"~{group}"
    return f"{group}={','.join(name).join('[]') if isinstance(name, list) else name}"


def _changes_of_experiment(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values that the chosen experiment changes."""
    without = flatten(_compose({**choices, "experiment": None}).plain()["values"])
    return {
        key: value for key, value in flatten(_compose(choices).plain()["values"]).items() if without.get(key) != value
    }


def _default_recipe(choices: Mapping[str, Any]) -> str:
    """Returns the recipe of an env under an observation mode: its own, or else that of any env under that mode."""
    chosen = {**_unchanged_choices(), **choices}
    own = f"{chosen['env']}_{chosen['observation']}"
    return own if own in group_names()[_RECIPE] else str(chosen["observation"])


@lru_cache(maxsize=1)
def _unchanged_choices() -> Mapping[str, str | list[str] | None]:
    return _compose({}).choices


def _check_choices(choices: Mapping[str, Any], groups: Mapping[str, list[str]]) -> None:
    for group, choice in choices.items():
        if group not in groups:
            raise ConfigError(_unknown(f"there is no config group '{group}'", group, groups))
        if isinstance(choice, list) and group not in schema.COST_GROUPS:
            raise ConfigError(f"{group} must be one name, as in {group}={groups[group][0]}, got {choice}")
        if choice is None and group in schema.COST_GROUPS:
            raise ConfigError(f"{group} must be a list, as in {group}=[{groups[group][0]}], or [] for none, got null")
        for name in choice if isinstance(choice, list) else [choice]:
            if name not in groups[group] and not (name is None and group in schema.OPTIONAL_GROUPS):
                raise ConfigError(_unknown(f"there is no {group} '{name}'", str(name), groups[group]))


def _full_key(key: str, known: Mapping[str, Any], section: str | None) -> str:
    if key in known:
        return key
    if section is not None and f"{section}.{key}" in known:
        return f"{section}.{key}"
    bare = {name.removeprefix(f"{section}.") for name in known} | known.keys() | group_names().keys()
    raise ConfigError(_unknown(f"there is no config key '{key}'", key, bare))


def _unknown(what: str, given: str, known: Mapping[str, Any] | Sequence[str] | set[str]) -> str:
    """Returns a sentence that names the nearest of what is known, or all of it where that is short."""
    return what + hint(given, known) + (f"; there are {', '.join(sorted(known))}" if len(known) <= 12 else "")


def _change(values: DictConfig, key: str, value: Any, shipped: Mapping[str, Any]) -> None:
    """Sets a value that is shipped to another that the schema admits."""
    if key not in shipped:
        raise ConfigError(_unknown(f"there is no config key '{key}'", key, shipped))
    current = shipped[key]
    if _follows(current):
        raise ConfigError(f"{key} follows {current.strip('${}')}: change that")
    if isinstance(value, dict | list) and value != _without_code(value):
        raise ConfigError(f"{key} must be a plain value, got {value!r}")
    if isinstance(current, dict) and not schema.is_leaf(key, values):
        raise ConfigError(f"{key} must be a mapping of {', '.join(current)} to their values, got {typed(value)}")
    if schema.binding(key) is Binding.SHIPPED and value != current:
        raise ConfigError(
            f"{key} belongs to a shipped yaml and is {current}, got {value!r}: choose another of its group"
        )
    allowed = schema.key_of(key, values)
    if not allowed.admits(value):
        raise ConfigError(f"{key} must be {allowed}, got {typed(value)}")
    OmegaConf.update(values, key, allowed.read(value), merge=False, force_add=isinstance(value, dict))


def _follows(shipped: Any) -> bool:
    """Returns whether a shipped value is that of another key."""
    return isinstance(shipped, str) and shipped.startswith("${")


def typed(value: Any) -> str:
    """Returns a value as it is typed on the command line."""
    return value if isinstance(value, str) else json.dumps(value)


def flatten(tree: Any, prefix: str = "", *, inner: bool = False, values: DictConfig | None = None) -> dict[str, Any]:
    """Returns dotted key to leaf; with `inner`, the mappings on the way too.

    With `values`, a composed config, a mapping that its constructor takes as one value is a leaf, as `schema.is_leaf`
    says; without, what lies below it is.
    """
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        nested = isinstance(value, dict) and not schema.is_leaf(name, values)
        if inner or not nested:
            flat[name] = value
        if nested:
            flat |= flatten(value, f"{name}.", inner=inner, values=values)
    return flat


def _without_code(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_code(value) for key, value in tree.items() if not str(key).startswith("_")}
    return [_without_code(value) for value in tree] if isinstance(tree, list) else tree
