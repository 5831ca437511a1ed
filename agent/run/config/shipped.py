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
from hydra._internal.defaults_list import create_defaults_list
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

_PACKAGE = "configs"
_MAIN = "run"


def compose_shipped(choices: Sequence[str]) -> tuple[DictConfig, dict[str, Any]]:
    """Composes the shipped yamls.

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
    repository = _repository()
    composed = create_defaults_list(
        repo=repository,
        config_name=_MAIN,
        overrides_list=OverridesParser.create().parse_overrides(overrides=list(choices)),
        prepend_hydra=False,
        skip_missing=False,
    )
    values = OmegaConf.create()
    for default in composed.defaults:
        loaded = repository.load_config(str(default.config_path))
        assert loaded is not None
        values.merge_with(ConfigLoaderImpl._embed_result_config(loaded, default.package).config)
    return values, dict(composed.overrides.known_choices)


@lru_cache(maxsize=1)
def _repository() -> CachingConfigRepository:
    """Returns the shipped yamls, each of which is read once; who composes them changes none."""
    return CachingConfigRepository(_ShippedRepository())


class _ShippedRepository(ConfigRepository):
    """Hydra's repository with a single source, the shipped folder."""

    def __init__(self) -> None:
        self.sources = [ImportlibResourcesConfigSource(provider="main", path=f"pkg://{_PACKAGE}")]
