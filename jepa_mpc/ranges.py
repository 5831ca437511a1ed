"""Is a setting a number of the right kind and size? If not, one sentence says what would have been right."""

import math

from jepa_mpc.errors import UserError


def check_count(key: str, value: object, *, least: int, null: bool = False) -> None:
    """Refuses all but whole numbers of at least `least`, and None where `null` will do.

    Raises:
        UserError: The sentence names the key, the range and the value.
    """
    if null and value is None:
        return
    or_null = ", or null" * null
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"{key} must be a whole number, at least {least}{or_null}, got {value!r}")
    if value < least:
        raise UserError(f"{key} must be at least {least}{or_null}, got {value}")


def check_number(
    key: str,
    value: object,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
    null: bool = False,
) -> None:
    """Refuses all but finite numbers within the bounds, and None where `null` will do.

    Raises:
        UserError: The sentence names the key, the range and the value.
    """
    if null and value is None:
        return
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not (math.isfinite(number) and least <= number <= most and above < number < below):
        bounds = (("at least", least), ("above", above), ("at most", most), ("below", below))
        limits = [f"{words} {bound:g}" for words, bound in bounds if math.isfinite(bound)]
        raise UserError(f"{key} must be {' and '.join([*limits, 'finite'])}{', or null' * null}, got {value!r}")
