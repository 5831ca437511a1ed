"""Is a setting a number of the right kind and size? If not, one sentence says what would have been right."""

import math


def check_count(key: str, value: object, *, least: int) -> None:
    """Refuses all but whole numbers of at least `least`.

    Raises:
        ValueError: The sentence names the key, the range and the value.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{key} must be a whole number, at least {least}, got {value!r}")
    if value < least:
        raise ValueError(f"{key} must be at least {least}, got {value}")


def check_number(
    key: str, value: object, *, least: float = -math.inf, above: float = -math.inf, most: float = math.inf
) -> None:
    """Refuses all but finite numbers of at least `least`, above `above`, and at most `most`.

    Raises:
        ValueError: The sentence names the key, the range and the value.
    """
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not (math.isfinite(number) and least <= number <= most and number > above):
        bounds = (("at least", least), ("above", above), ("at most", most))
        limits = [f"{words} {bound:g}" for words, bound in bounds if math.isfinite(bound)]
        raise ValueError(f"{key} must be {' and '.join([*limits, 'finite'])}, got {value!r}")
