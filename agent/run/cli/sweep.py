"""Sweeps: `-m seed=0,1,2` runs once with each combination of the values."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from agent.run.cli.errors import attempt
from agent.run.config.composing import ConfigError
from agent.run.config.schema import NAMED_IN_FOLDER, PATHS

_ENDED = ("succeeded", "falls short", "refused", "failed")  # by the exit code
_FLAGS = ("-m", "--multirun")


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
        if len(_values(override)) > 1 and key not in NAMED_IN_FOLDER:
            raise ConfigError(f"a sweep over {key} needs output=DIR, in which each run gets a numbered folder")
    return runs


def run_all(runs: Sequence[Sequence[str]], run: Callable[[Sequence[str]], int]) -> int:
    """Runs a command with each list of overrides, whatever becomes of the others, and prints how each ended.

    Returns:
        The highest exit code.
    """
    if len(runs) == 1:
        return run(runs[0])
    outcomes = []
    for place, overrides in enumerate(runs, start=1):
        print(f"[{place}/{len(runs)}] {_name(overrides, runs)}")
        outcomes.append(attempt(partial(run, overrides)))
        if outcomes[-1].said:
            print(f"[{place}/{len(runs)}] {outcomes[-1].said}", file=sys.stderr)
    names = [_name(overrides, runs) for overrides in runs]
    width = max(map(len, names))
    print(f"sweep: {sum(not outcome.code for outcome in outcomes)} of {len(runs)} runs succeeded")
    for name, outcome in zip(names, outcomes, strict=True):
        print(f"  {name.ljust(width)}  {_ENDED[outcome.code]}{': ' * bool(outcome.said)}{outcome.said}")
    return max(outcome.code for outcome in outcomes)


def _name(overrides: Sequence[str], runs: Sequence[Sequence[str]]) -> str:
    """Returns in what a run differs from the others."""
    return " ".join(text for text in overrides if not all(text in others for others in runs))


def _values(override: str) -> list[str]:
    if override.partition("=")[0] in PATHS:
        return [override]
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        raise ConfigError(f"'{override}' must be key=value, or key=value,value,... for a sweep") from None
    if not parsed.is_sweep_override():
        return [override]
    return [f"{parsed.key_or_group}={value}" for value in parsed.sweep_string_iterator()]
