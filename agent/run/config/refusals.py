"""What our own code refuses to build is the user's to mend; a fault of ours is not."""

from collections.abc import Iterator
from contextlib import contextmanager

from agent.run.config.composing import ConfigError
from jepa_mpc.errors import is_refusal


@contextmanager
def refusals(place: str = "") -> Iterator[None]:
    """Turns what our own code refuses inside the context into a `ConfigError`, and lets a fault of ours through.

    Args:
        place: Stands before the sentence, as "observation." before "cameras must be ...".
    """
    try:
        yield
    except ValueError as error:
        if not is_refusal(error):
            raise
        raise ConfigError(f"{place}{error}") from None
