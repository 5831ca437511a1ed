"""What a yaml says of an observation: which of its entries, which part of them, and sums of such."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NAME = r"""[A-Za-z_][\w.]*|'[^']+'|"[^"]+\""""
_PART = r"\[\s*(-?\d+)?\s*:\s*(-?\d+)?\s*\]"
_TERM = re.compile(rf"\s*([+-])?\s*({_NAME})\s*(?:{_PART})?\s*")


@dataclass(frozen=True)
class Term:
    """A part of an entry, added or subtracted.

    Attributes:
        sign: 1 or -1.
        entry: Of the observation.
        part: Of the entry's first dimension.
    """

    sign: int
    entry: str
    part: slice


@dataclass(frozen=True)
class Formula:
    """A sum of parts of an observation, as `observation[8:10] + observation[4:6]`.

    A name that is no plain word stands in quotes, as `'target pos'[0:2]`.

    Attributes:
        terms: At least one.
    """

    terms: tuple[Term, ...]

    @classmethod
    def of(cls, entry: str) -> "Formula":
        """Returns what reads an entry as it is."""
        return cls((Term(sign=1, entry=entry, part=slice(None)),))

    @classmethod
    def parse(cls, text: object) -> "Formula":
        """Reads a formula.

        Raises:
            ValueError: It is none.
        """
        terms: list[Term] = []
        place = 0
        while isinstance(text, str) and place < len(text) and (found := _TERM.match(text, place)):
            sign, entry, low, high = found.groups()
            if bool(terms) and sign is None:
                break
            part = slice(int(low) if low else None, int(high) if high else None)
            terms.append(Term(sign=-1 if sign == "-" else 1, entry=entry.strip("'\""), part=part))
            place = found.end()
        if not terms or not isinstance(text, str) or place < len(text):
            raise ValueError(
                "it must name entries of the observation, as in observation[0:3] or observation[8:10] + "
                f"observation[4:6], got {text!r}"
            )
        return cls(tuple(terms))

    @property
    def entries(self) -> tuple[str, ...]:
        """The entries that it names."""
        return tuple(term.entry for term in self.terms)

    def read(self, entries: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Returns the reading, an array of its own: float32, or uint8 where an image is read as it is.

        Raises:
            KeyError: There is no such entry.
            ValueError: The parts differ in shape.
        """
        first, *others = self.terms
        value = entries[first.entry]
        if first.part != slice(None):
            value = value[first.part]
        if value.dtype == np.uint8 and value.ndim == 3 and not others:
            return value.copy()
        total: NDArray[np.float32] = first.sign * np.asarray(value, np.float32)
        for term in others:
            part = np.asarray(entries[term.entry][term.part], np.float32)
            if part.shape != total.shape:
                raise ValueError(f"its parts must have one shape, got {total.shape} and {part.shape}")
            total = total + term.sign * part
        return total
