"""How long and how fast anything is trained."""

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from jepa_mpc.ranges import check_count, check_number
from world_model.training.run_log import require_wandb

HARMLESS = ("log_every", "validation_every", "checkpoint_every", "keep_every", "wandb")
"""Settings that change nothing of what is learned."""


@dataclass(frozen=True)
class FitSettings:
    """How long and how fast.

    Attributes:
        num_steps: Steps of the optimiser.
        learning_rate: Highest learning rate.
        final_learning_rate: Where a cosine takes it at the end; equal to `learning_rate`, it stays constant.
        warmup_steps: Steps in which it rises from 0.
        weight_decay: Of AdamW.
        clip_norm: Longest gradient, all parameters together.
        log_every: Steps from one line of losses to the next.
        validation_every: Steps from one validation to the next.
        checkpoint_every: Steps from one checkpoint to the next, after which an interrupted training goes on.
        keep_every: Steps from one checkpoint that is kept for good to the next, a multiple of `checkpoint_every`.
        num_threads: Of torch, in training; another number may change the last bits.
        wandb: Whether Weights & Biases gets the log too.
    """

    section: ClassVar[str] = "training"
    """Of the config that the values come from; errors name it."""

    least_steps: ClassVar[int] = 1
    """0 where it may be left out."""

    num_steps: int
    learning_rate: float
    final_learning_rate: float
    warmup_steps: int
    weight_decay: float
    clip_norm: float
    log_every: int
    validation_every: int
    checkpoint_every: int
    keep_every: int
    num_threads: int
    wandb: bool

    def __post_init__(self) -> None:
        check_count(f"{self.section}.num_steps", self.num_steps, least=self.least_steps)
        counts = ("log_every", "validation_every", "checkpoint_every", "keep_every", "num_threads")
        for name in counts:
            check_count(f"{self.section}.{name}", getattr(self, name), least=1)
        check_count(f"{self.section}.warmup_steps", self.warmup_steps, least=0)
        for name in ("learning_rate", "clip_norm"):
            check_number(f"{self.section}.{name}", getattr(self, name), above=0)
        for name in ("final_learning_rate", "weight_decay"):
            check_number(f"{self.section}.{name}", getattr(self, name), least=0)
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"{self.section}.learning_rate must be at least final_learning_rate, "
                f"got {self.learning_rate} and {self.final_learning_rate}"
            )
        if self.keep_every % self.checkpoint_every:
            raise ValueError(
                f"{self.section}.keep_every must be a multiple of checkpoint_every={self.checkpoint_every}, "
                f"got {self.keep_every}"
            )
        if not isinstance(self.wandb, bool):
            raise ValueError(f"{self.section}.wandb must be true or false, got {self.wandb!r}")
        if self.wandb:
            require_wandb(self.section)

    @property
    def identity(self) -> dict[str, Any]:
        """Plain JSON of all that decides what is learned: a training goes on under any other intervals."""
        return {name: value for name, value in asdict(self).items() if name not in HARMLESS}

    def learning_rate_at(self, step: int) -> float:
        """Returns the learning rate of a step, the first being 1."""
        warmth = min(step / max(self.warmup_steps, 1), 1.0)
        cosine = (1 + math.cos(math.pi * (step - 1) / self.num_steps)) / 2
        return warmth * (self.final_learning_rate + (self.learning_rate - self.final_learning_rate) * cosine)
