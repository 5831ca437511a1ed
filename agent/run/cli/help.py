"""What `--help` says of a command's keys."""

from collections.abc import Sequence
from importlib.resources import files

from agent.run.config.composing import compose_config, group_names

_HIDDEN = ("_target_", "_partial_", "# @package", "defaults:", "- ")


def config_help(section: str | None, overrides: Sequence[str]) -> str:
    """Returns the config groups with their choices, and the keys with their values and what they mean.

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
    lines += ["", f"Keys, changed as key.key=value{bare}:", *_keys("run")]
    for group in groups:
        for name in _chosen(config.choices[group]):
            prefix = f"{group}.{name}" if isinstance(config.choices[group], list) else group
            title = f"{group}={name}, changed as {prefix}.key=value"
            if group == "recipe":
                title = f"recipe={name} changes"
            lines += ["", f"{title}:", *_keys(f"{group}/{name}")]
    return "\n".join(lines)


def _chosen(choice: str | list[str] | None) -> list[str]:
    return choice if isinstance(choice, list) else [] if choice is None else [choice]


def _keys(name: str) -> list[str]:
    """Returns the lines of a shipped yaml that a user may change, with their comments."""
    text = files("configs").joinpath(f"{name}.yaml").read_text()
    return ["  " + line for line in text.splitlines() if line and not line.lstrip().startswith(_HIDDEN)]
