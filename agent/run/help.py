"""What `--help` says of a command's keys."""

import yaml

from agent.run.config import compose_config, group_names


def config_help(section: str | None) -> str:
    """Returns the config groups with their choices, and the keys with their default values."""
    groups = {name: choices for name, choices in group_names().items() if name != "task"}
    config = compose_config([])
    width = max(map(len, groups))
    lines = ["Config groups, chosen as group=name:"]
    for name, choices in groups.items():
        chosen = config.choices[name]
        chosen = ", ".join(chosen) if isinstance(chosen, list) else chosen
        lines.append(f"  {name.ljust(width)}  {' | '.join(choices)}   (now: {chosen})")
    lines += ["", "Keys, changed as key.key=value; these are the values for env=reach:"]
    if section is not None:
        lines[-1] = lines[-1].removesuffix(":") + f", and those under {section} need no prefix:"
    values = config.plain()["values"]
    lines += ["  " + line for line in yaml.safe_dump(values, sort_keys=False).splitlines()]
    return "\n".join(lines)
