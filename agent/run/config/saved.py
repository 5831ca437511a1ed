"""The config of a run, in its folder: names and plain values, read back without trusting them."""

from pathlib import Path
from typing import Any

import yaml

from agent.run.config.composing import Config, ConfigError, flatten, typed
from agent.run.config.schema import VERSION, Binding, binding
from jepa_mpc.files import write_whole

CONFIG_FILE = "config.yaml"
"""Where a run folder keeps its resolved config."""

_MAX_BYTES = 2**16  # several times what is ever saved; reading takes a second for so many


def save_config(config: Config, folder: Path, *, file: str = CONFIG_FILE) -> None:
    """Writes the resolved config into a run folder."""
    write_whole(folder / file, yaml.safe_dump(config.plain(), sort_keys=False))


def read_config(folder: Path) -> dict[str, Any]:
    """Reads the resolved config of a run folder; nothing in it can execute code.

    Raises:
        ConfigError: There is none, or it is no plain config, or it holds a key such as `_target_`.
    """
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise ConfigError(f"'{folder}' is no run folder: it holds no {CONFIG_FILE}")
    if path.stat().st_size > _MAX_BYTES:
        raise ConfigError(f"'{path}' has {path.stat().st_size} bytes, a saved config has at most {_MAX_BYTES}")
    try:
        saved = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"'{path}' must be plain yaml, but it cannot be read: {' '.join(str(error).split())}"
        ) from None
    if not isinstance(saved, dict) or not all(isinstance(saved.get(key), dict) for key in ("choices", "values")):
        raise ConfigError(f"'{path}' must hold the mappings 'choices' and 'values', and does not")
    if (version := saved.get("schema", 1)) != VERSION:
        raise ConfigError(
            f"'{path}' was saved under schema {version}, and this jepa-mpc reads schema {VERSION}: use "
            "the version that saved it, or run it anew"
        )
    refuse_code(saved, path)
    return saved


class _PlainLoader(yaml.SafeLoader):
    """Reads what `save_config` wrote, and no aliases: a few lines of aliases of aliases stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuses an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it holds an alias, which stands for something else")
        return super().compose_node(parent, index)


def continues(config: Config, folder: Path) -> bool:
    """Returns whether a folder holds this run already; another one is refused.

    What the schema calls free may differ: the number of workers, say, and how many episodes are evaluated.

    Raises:
        ConfigError: The first key that differs, with both values.
    """
    if not (folder / CONFIG_FILE).exists():
        return False
    for part in ("choices", "values"):
        saved, current = (flatten(plain[part]) for plain in (read_config(folder), config.plain()))
        for key in sorted(saved.keys() | current.keys()):
            if binding(key) is not Binding.FREE and saved.get(key) != current.get(key):
                raise ConfigError(
                    f"'{folder}' holds a run with {key}={typed(saved.get(key))}, this one has "
                    f"{key}={typed(current.get(key))}: choose another output=, or delete that folder"
                )
    return True


def refuse_code(tree: Any, source: Path | str) -> None:
    """Refuses keys such as `_target_` and interpolations: what is saved is names and plain values.

    Raises:
        ConfigError: There is such a key or interpolation.
    """
    if isinstance(tree, dict):
        for key, value in tree.items():
            if not isinstance(key, str) or key.startswith("_"):
                raise ConfigError(
                    f"'{source}' holds the key '{key}': a saved config holds names and values, never code"
                )
            refuse_code(value, source)
    elif isinstance(tree, list):
        for value in tree:
            refuse_code(value, source)
    elif isinstance(tree, str) and "${" in tree:
        raise ConfigError(f"'{source}' holds the interpolation '{tree}': a saved config holds plain values")
