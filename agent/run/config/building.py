"""From configs to objects: the one place where a `_target_` is followed, and only ever a shipped one."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from agent.run.config.composing import ConfigError, group_names
from agent.run.config.saved import refuse_code
from agent.run.config.schema import key_of
from jepa_mpc.errors import is_refusal

_BIND = {"_partial_": True, "_convert_": "all"}
_NAMED_KEYS = {"name", "values"}


def build(config: DictConfig, /, **arguments: Any) -> Any:
    """Calls the `_target_` of a shipped config with its values and further arguments.

    A value that has a `_target_` itself is built first, as where a planner is composed of planners. A config with
    `_partial_: true` describes a factory: it is returned with its values bound, and not called.

    Raises:
        ConfigError: What is built refuses the values; a value that the sentence begins with has its place in the config
            before it.
    """
    called = OmegaConf.masked_copy(config, [str(key) for key in config if key != "_partial_"])
    try:
        factory = instantiate(called, **_BIND)
        return factory if config.get("_partial_", False) else factory(**arguments)
    except (InstantiationException, ValueError) as error:
        cause = error.__cause__ if isinstance(error, InstantiationException) else error
        if not isinstance(cause, ValueError) or not is_refusal(cause):
            raise
        raise ConfigError(_placed(config, cause)) from None


def _placed(config: DictConfig, error: ValueError) -> str:
    """Returns a sentence, as "weight must be ...", with the value's place: "regularizer.weight must be ..."."""
    sentence = str(error)
    place = config._get_full_key(None)
    return f"{place}.{sentence}" if place and sentence.split()[0] in config else sentence


def shipped(group: str, named: Mapping[str, Any]) -> DictConfig:
    """Returns a shipped config with other values, as a checkpoint names it.

    Args:
        group: Config group.
        named: `{"name", "values"}`, as `Config.named` returned it.

    Raises:
        ConfigError: There is no such config, or it has other keys, or other values than the schema admits.
    """
    if not isinstance(named, Mapping) or named.keys() != _NAMED_KEYS or not isinstance(named["values"], Mapping):
        raise ConfigError(f"the checkpoint must describe its {group} by 'name' and 'values', got {named!r}")
    refuse_code(named["values"], "the checkpoint")
    names = group_names()[group]
    if named["name"] not in names:
        raise ConfigError(
            f"the checkpoint names the {group} '{named['name']}', which does not exist; there are {names}"
        )
    config = OmegaConf.load(files("configs").joinpath(group, f"{named['name']}.yaml"))  # type: ignore[arg-type]
    assert isinstance(config, DictConfig)
    keys = {key for key in config if not str(key).startswith("_")}
    if named["values"].keys() != keys:
        raise ConfigError(
            f"the checkpoint's {group} '{named['name']}' must have the values {sorted(map(str, keys))}, "
            f"got {sorted(named['values'])}"
        )
    merged = OmegaConf.merge(config, {str(key): value for key, value in named["values"].items()})
    tree = OmegaConf.create({group: merged})
    for key, value in named["values"].items():
        if not (allowed := key_of(f"{group}.{key}", tree)).admits(value):
            raise ConfigError(f"the checkpoint's {group}.{key} must be {allowed}, got {value!r}")
    placed: DictConfig = tree[group]
    return placed
