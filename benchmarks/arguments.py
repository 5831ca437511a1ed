"""The one way in which benchmarks are called: `python -m benchmarks.PLACE.NAME key=value ...`, as jepa-mpc is."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from agent.run.cli.errors import attempt
from agent.run.cli.streams import prepare_streams


def read_settings(defaults: Mapping[str, Any], arguments: Sequence[str] | None = None) -> DictConfig:
    """Returns the settings of a benchmark with the command line's on top; one whose default is "???" must be given."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for text in arguments:
        if not _is_of(defaults, text):
            raise SystemExit(f"there is no setting '{text.partition('=')[0]}'; there are {', '.join(defaults)}")
    return split_settings(defaults, arguments)[0]


def split_settings(
    defaults: Mapping[str, Any], arguments: Sequence[str] | None = None
) -> tuple[DictConfig, tuple[str, ...]]:
    """Returns the settings of a benchmark as `read_settings` does, and the other arguments: changes of a config."""
    arguments = sys.argv[1:] if arguments is None else arguments
    own = [text for text in arguments if _is_of(defaults, text)]
    settings = OmegaConf.merge(dict(defaults), OmegaConf.from_dotlist(own))
    assert isinstance(settings, DictConfig)
    if missing := OmegaConf.missing_keys(settings):
        raise SystemExit(f"this benchmark needs {', '.join(f'{key}=...' for key in sorted(missing))}")
    return settings, tuple(text for text in arguments if text not in own)


def _is_of(defaults: Mapping[str, Any], argument: str) -> bool:
    return argument.partition("=")[0].split(".")[0] in defaults


def call(main: Callable[[], None]) -> None:
    """Calls the main function of a benchmark, or says what its module does; a user's mistake is one sentence."""
    prepare_streams()
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(str(main.__globals__["__doc__"]).strip())
        return
    try:
        outcome = attempt(lambda: main() or 0)
    except KeyboardInterrupt:
        sys.exit("interrupted; what was finished is kept, and the same command goes on from there")
    if outcome.code:
        print(outcome.said, file=sys.stderr)
        sys.exit(outcome.code)
