"""Sweeps: `-m seed=0,1,2` runs once with each combination of the values."""

from collections.abc import Sequence
from itertools import product

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from agent.run.config.composing import ConfigError

_FLAGS = ("-m", "--multirun")
_NAMED_IN_FOLDER = ("env", "observation", "seed")  # the default output folder is named after them


def split_sweep(arguments: Sequence[str]) -> list[list[str]]:
    """Returns the overrides of each run: one list without `-m`, and the product of all sweeps with it.

    Raises:
        ConfigError: A flag that does not exist, a malformed override, or a sweep into one output folder.
    """
    overrides = [argument for argument in arguments if argument not in _FLAGS]
    for argument in overrides:
        if argument.startswith("-"):
            raise ConfigError(
                f"there is no option '{argument}'; there are -m (sweep) and --help, all else is key=value"
            )
    if len(overrides) == len(arguments):
        return [overrides]
    runs = [list(combination) for combination in product(*map(_values, overrides))]
    output = next((text for text in overrides if text.startswith("output=")), None)
    if len(runs) == 1:
        return runs
    if output is not None:
        return [[*run, f"{output}/{index}"] for index, run in enumerate(runs)]
    for override in overrides:
        key = override.partition("=")[0]
        if len(_values(override)) > 1 and key not in _NAMED_IN_FOLDER:
            raise ConfigError(f"a sweep over {key} needs output=DIR, in which each run gets a numbered folder")
    return runs


def _values(override: str) -> list[str]:
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        raise ConfigError(f"'{override}' must be key=value, or key=value,value,... for a sweep") from None
    if not parsed.is_sweep_override():
        return [override]
    return [f"{parsed.key_or_group}={value}" for value in parsed.sweep_string_iterator()]
