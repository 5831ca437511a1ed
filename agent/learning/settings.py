"""How critics and policies are trained."""

from dataclasses import dataclass
from typing import ClassVar

from agent.learning.hindsight import Hindsight
from world_model.fit_settings import FitSettings
from world_model.ranges import check_count, check_number


@dataclass(frozen=True)
class LearningSettings(FitSettings):
    """How anything is trained on embedded episodes.

    Attributes:
        batch_size: Transitions of one step.
        validation_fraction: Share of the episodes that is validated on.
        num_validation_samples: Transitions that are validated on, the same at every validation.
        num_plans: That mode 2 makes for a policy to imitate.
        hindsight: Which goals are imagined for what was recorded.
    """

    section: ClassVar[str] = "learning"

    batch_size: int
    validation_fraction: float
    num_validation_samples: int
    num_plans: int
    hindsight: Hindsight

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("batch_size", "num_validation_samples", "num_plans"):
            check_count(f"learning.{name}", getattr(self, name), least=1)
        check_number("learning.validation_fraction", self.validation_fraction, above=0)
        if self.validation_fraction >= 1:
            raise ValueError(f"learning.validation_fraction must lie between 0 and 1, got {self.validation_fraction}")
