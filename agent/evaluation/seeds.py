"""Which episodes are run: fixed lists of seeds, disjoint from each other and from those of collection."""

SPLIT_SIZE = 1_000
"""Entries of a manifest of episodes."""

FIRST_SEED = {"evaluation": 1_000_000_000, "validation": 2_000_000_000}
"""Split to its first seed. Collection stays below; `validation` is for tuning, `evaluation` for the record."""


def episode_seeds(split: str, num_episodes: int) -> list[int]:
    """Returns the first seeds of a split's manifest.

    Args:
        split: "evaluation" or "validation".
        num_episodes: In 1..1000.

    Raises:
        ValueError: There is no such split, or it has fewer entries.
    """
    if split not in FIRST_SEED:
        raise ValueError(f"split must be one of {sorted(FIRST_SEED)}, got '{split}'")
    if not 1 <= num_episodes <= SPLIT_SIZE:
        raise ValueError(f"num_episodes must be in 1..{SPLIT_SIZE}, the entries of the manifest, got {num_episodes}")
    return list(range(FIRST_SEED[split], FIRST_SEED[split] + num_episodes))
