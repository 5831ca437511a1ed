"""From a composed config back to what has to be typed for it."""

import re
import shlex
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from agent.run.config.composing import Config, compose_config, flatten, group_names

_NO_PART_OF_IT = (
    "output",
    "train.*",
    "compare.*",
    "view.*",
    "latency.*",
    "surprise.*",
    "evaluate.run",
    "evaluate.fail_under",
    "*.num_workers",
    "benchmark.fail_under",
)
"""Keys on which no record depends."""

_FIRST, _OF_MANY_GROUPS = ("env", "observation"), ("recipe", "experiment")

_PLAIN = re.compile(r"[A-Za-z_][\w+.-]*")


def spelled(config: Config, *, section: str | None, base: Mapping[str, Any] | None = None) -> list[str]:
    """Returns the fewest changes that compose a config, each as it is typed in a shell.

    Args:
        config: A composed config.
        section: The command's own section, in which a bare key will do.
        base: A saved config on which they lie, or None for the shipped one.
    """
    groups, plain = group_names(), config.plain()
    changes = {} if base is not None else {group: plain["choices"][group] for group in _FIRST}
    choices, values = plain["choices"], flatten(plain["values"])
    wanted = [  # in an order in which what comes later may follow from what came before
        ("choices", {group: it for group, it in choices.items() if group in _OF_MANY_GROUPS}),
        ("choices", {group: it for group, it in choices.items() if group in groups}),
        ("values", {key: it for key, it in values.items() if key.split(".")[0] not in groups}),
        ("values", {key: it for key, it in values.items() if key.split(".")[0] in groups}),
    ]
    there = compose_config(changes, base=base).plain()
    for part, some in wanted:
        if differing := _differing(some, flatten(there[part])):
            changes |= differing
            there = compose_config(changes, base=base).plain()
    return [shlex.quote(f"{_bare(key, section)}={_text(value)}") for key, value in changes.items()]


def _differing(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in wanted.items()
        if there.get(key) != value and not any(fnmatchcase(key, pattern) for pattern in _NO_PART_OF_IT)
    }


def _bare(key: str, section: str | None) -> str:
    return key if section is None else key.removeprefix(f"{section}.")


def _text(value: Any) -> str:
    """Returns a value in the grammar of overrides."""
    if isinstance(value, Mapping):
        return ",".join(f"{key}:{_text(it)}" for key, it in value.items()).join("{}")
    if isinstance(value, list):
        return ",".join(map(_text, value)).join("[]")
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        escaped = re.sub(r'(\\+)(?="|$)', r"\1\1", value).replace('"', '\\"')  # a backslash counts before a quote alone
        return f'"{escaped}"'
    return str(value)
