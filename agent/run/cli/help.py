"""What `--help` says of a command's keys."""

import re
from collections.abc import Sequence
from importlib.resources import files

from omegaconf import DictConfig, OmegaConf

from agent.run.config.composing import Config, compose_config, group_names
from agent.run.config.schema import GROUPS_ON_ALL, Binding, binding, key_of

_HIDDEN = ("_target_", "_partial_", "# @package", "defaults:", "- ")
_KEY = re.compile(r"(?P<indent> *)(?P<name>\w+):")


def config_help(section: str | None, overrides: Sequence[str]) -> str:
    """Returns the config groups with their choices, and the keys with their values, meanings and ranges.

    Args:
        section: The command's own, in which a bare key will do, or None.
        overrides: As on the command line: what they choose is shown.
    """
    groups, config = group_names(), compose_config(overrides, section=section)
    width = max(map(len, groups))
    lines = ["Config groups, chosen as group=name (* unless told otherwise):"]
    for group, names in groups.items():
        chosen = _chosen(config.choices[group])
        marked = (f"{name}*" if name in chosen else name for name in names)
        lines.append(f"  {group.ljust(width)}  {' | '.join(marked)}")
    bare = "" if section is None else f"; those under {section} need no prefix"
    lines += [
        "",
        f"Keys, changed as key.key=value{bare}. What is called trained cannot be changed on a finished run:",
        *_keys("run", "", config),
    ]
    for group in groups:
        for name in _chosen(config.choices[group]):
            prefix = f"{group}.{name}." if isinstance(config.choices[group], list) else f"{group}."
            if group in GROUPS_ON_ALL:
                lines += ["", f"{group}={name} changes:", *_keys(f"{group}/{name}", None, config)]
            else:
                title = f"{group}={name}, changed as {prefix}key=value:"
                lines += ["", title, *_keys(f"{group}/{name}", prefix, config)]
    return "\n".join(lines)


def _chosen(choice: str | list[str] | None) -> list[str]:
    return choice if isinstance(choice, list) else [] if choice is None else [choice]


def _keys(name: str, prefix: str | None, config: Config) -> list[str]:
    """Returns the lines of a shipped yaml that a user may change, with their comments, and with what the schema says.

    Args:
        name: Of the yaml.
        prefix: Of its keys; None where they belong to other yamls, which say what they may be.
        config: In which the yaml is chosen.
    """
    text = files("configs").joinpath(f"{name}.yaml").read_text()
    lines: list[str] = []
    owners: list[str] = []
    for line in text.splitlines():
        if not line or line.lstrip().startswith(_HIDDEN):
            continue
        key = _KEY.match(line)
        if key is not None and prefix is not None and "${" not in line:
            owners = [*owners[: len(key["indent"]) // 2], key["name"]]
            full_key = prefix + ".".join(owners)
            if not isinstance(OmegaConf.select(config.values, full_key), DictConfig):
                bound = "; trained" if binding(full_key) is Binding.TRAINED else ""
                line += f"{'' if '#' in line else ' #'} [{key_of(full_key, config.values)}{bound}]"
        lines.append(f"  {line}")
    return lines
