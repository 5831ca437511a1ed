"""How critics and policies are trained."""

from dataclasses import dataclass, replace
from typing import ClassVar

from agent.learning.hindsight import Hindsight
from jepa_mpc.ranges import check_count, check_number
from world_model.training.fit_settings import FitSettings


@dataclass(frozen=True)
class LearningSettings(FitSettings):
    """How anything is trained on embedded episodes.

    Attributes:
        batch_size: Transitions of one step.
        validation_fraction: Share of the episodes that is validated on.
        num_validation_samples: Transitions that are validated on, the same at every validation.
        num_plans: That mode 2 makes for a policy to imitate, at least 2: one of them is validated on.
        refinement_steps: In which a policy then lowers the cost of imagined futures.
        refinement_batch_size: Imagined futures of one such step.
        refinement_horizon: Model steps of such a future, which may be more than are planned.
        refinement_learning_rate: Highest, of such steps.
        hindsight: Which goals are imagined for what was recorded.
    """

    section: ClassVar[str] = "learning"

    batch_size: int
    validation_fraction: float
    num_validation_samples: int
    num_plans: int
    refinement_steps: int
    refinement_batch_size: int
    refinement_horizon: int
    refinement_learning_rate: float
    hindsight: Hindsight

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = ("batch_size", "num_validation_samples", "refinement_steps", "refinement_batch_size")
        for name in (*counts, "refinement_horizon"):
            check_count(f"learning.{name}", getattr(self, name), least=1)
        check_count("learning.num_plans", self.num_plans, least=2)
        check_number("learning.refinement_learning_rate", self.refinement_learning_rate, above=0)
        if self.refinement_learning_rate < self.final_learning_rate:
            raise ValueError(
                f"learning.refinement_learning_rate must be at least final_learning_rate={self.final_learning_rate}, "
                f"got {self.refinement_learning_rate}"
            )
        check_number("learning.validation_fraction", self.validation_fraction, above=0, below=1)

    def of_refinement(self) -> "LearningSettings":
        """Returns how a policy is refined."""
        return replace(
            self,
            num_steps=self.refinement_steps,
            batch_size=self.refinement_batch_size,
            learning_rate=self.refinement_learning_rate,
        )
