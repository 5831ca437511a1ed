"""Which episodes are run: fixed lists of seeds, disjoint from each other and from those of collection."""

from dataclasses import dataclass

SPLIT_SIZE = 1_000
"""Entries of a manifest of episodes."""

FIRST_SEED = {"evaluation": 1_000_000_000, "validation": 2_000_000_000}
"""Split to its first seed. Collection stays below; `validation` is for tuning, `evaluation` for the record."""


@dataclass(frozen=True)
class Entries:
    """Some entries of a split's manifest, one behind the other.

    Attributes:
        split: "evaluation" or "validation".
        first: Of them, in 0..999.
        number: Of them.

    Raises:
        ValueError: There is no such split, or it has no such entries.
    """

    split: str
    first: int
    number: int

    def __post_init__(self) -> None:
        if self.split not in FIRST_SEED:
            raise ValueError(f"split must be one of {sorted(FIRST_SEED)}, got '{self.split}'")
        if self.first < 0 or self.number < 1 or self.first + self.number > SPLIT_SIZE:
            raise ValueError(
                f"num_episodes={self.number} from first_entry={self.first} on must lie within the {SPLIT_SIZE} entries "
                "of the manifest"
            )

    @property
    def seeds(self) -> list[int]:
        """Of the episodes."""
        first = FIRST_SEED[self.split] + self.first
        return list(range(first, first + self.number))

    def __str__(self) -> str:
        """Returns them as they stand in the name of a file."""
        beginning = f"from_{self.first}_" * bool(self.first)
        return f"{self.split}_{beginning}{self.number}"


def episode_seeds(split: str, num_episodes: int) -> list[int]:
    """Returns the first seeds of a split's manifest; see `Entries`."""
    return Entries(split, 0, num_episodes).seeds
