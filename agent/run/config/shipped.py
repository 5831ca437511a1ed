"""The shipped yamls, of which Hydra's rules make one config.

Hydra's own entry points keep one application's configs in global state. This is a library: it asks Hydra's composer for
the shipped folder alone, so that another application's configs, plugins and stores neither matter nor notice.
"""

import copy
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository
from hydra._internal.core_plugins.importlib_resources_config_source import ImportlibResourcesConfigSource
from hydra._internal.defaults_list import DefaultsList, create_defaults_list
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

_PACKAGE = "configs"
_MAIN = "run"
_OF_MANY_GROUPS = ("recipe=", "experiment=")


def compose_shipped(choices: Sequence[str]) -> tuple[DictConfig, dict[str, Any]]:
    """Composes the shipped yamls.

    What a recipe sets of a group falls away with the recipe's choice of it: where `choices` name another that has no
    such key, there is nothing to be set. A key that its own choice lacks stays, and is found out.

    Args:
        choices: Overrides of config groups as Hydra spells them: `env=push`, `critic=[a,b]`, `~policy`.

    Returns:
        The values, and the group's name to what is chosen of it; both are the caller's own.

    Raises:
        HydraException: A choice that does not exist.
    """
    return copy.deepcopy(_composed(tuple(choices)))


@lru_cache(maxsize=64)
def _composed(choices: tuple[str, ...]) -> tuple[DictConfig, dict[str, Any]]:
    repository, composed = _repository(), _defaults(choices)
    chosen = composed.overrides.known_choices
    own = _defaults(tuple(it for it in choices if it.startswith(_OF_MANY_GROUPS))).overrides.known_choices
    replaced = {group for group in chosen.keys() | own.keys() if chosen.get(group) != own.get(group)}
    values, known = OmegaConf.create(), OmegaConf.create()
    for default in composed.defaults:
        loaded = repository.load_config(str(default.config_path))
        assert loaded is not None
        added = ConfigLoaderImpl._embed_result_config(loaded, default.package).config
        if default.config_path == _MAIN:
            known = copy.deepcopy(values)  # of the groups, before recipes and experiments set values of many of them
        elif default.package == "":
            added = copy.deepcopy(added)  # what was read once serves all
            for group in replaced.intersection(added):
                if group in known:
                    _drop_unknown(added[group], known[group])
                else:
                    del added[group]
        values.merge_with(added)
    return values, dict(chosen)


@lru_cache(maxsize=64)
def _defaults(choices: tuple[str, ...]) -> DefaultsList:
    """Returns which yamls are to be merged, in their order; who reads it changes nothing."""
    return create_defaults_list(
        repo=_repository(),
        config_name=_MAIN,
        overrides_list=OverridesParser.create().parse_overrides(overrides=list(choices)),
        prepend_hydra=False,
        skip_missing=False,
    )


def _drop_unknown(changes: Any, known: Any) -> None:
    """Drops from changes each key that is not among the known ones; a mapping that is empty or null takes any."""
    if isinstance(changes, DictConfig) and isinstance(known, DictConfig) and known:
        for key in list(changes):
            if key in known:
                _drop_unknown(changes._get_node(key), known._get_node(key))
            else:
                del changes[key]


@lru_cache(maxsize=1)
def _repository() -> CachingConfigRepository:
    """Returns the shipped yamls, each of which is read once; who composes them changes none."""
    return CachingConfigRepository(_ShippedRepository())


class _ShippedRepository(ConfigRepository):
    """Hydra's repository with a single source, the shipped folder."""

    def __init__(self) -> None:
        self.sources = [ImportlibResourcesConfigSource(provider="main", path=f"pkg://{_PACKAGE}")]
