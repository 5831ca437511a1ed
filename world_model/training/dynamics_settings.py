"""How dynamics go on learning alone, on the embeddings of a frozen encoder."""

from dataclasses import dataclass
from typing import ClassVar

from jepa_mpc.ranges import check_count, check_number
from world_model.training.fit_settings import FitSettings


@dataclass(frozen=True)
class DynamicsSettings(FitSettings):
    """How dynamics go on learning alone; with no step they do not.

    Attributes:
        batch_size: Windows of one step.
        rollout_length: Imagined model steps of a window.
        contact_share: Of the windows of a step, those that are drawn among the ones that change most beyond what the
            robot's own motion explains; the others are drawn among all.
    """

    section: ClassVar[str] = "dynamics_training"
    least_steps: ClassVar[int] = 0

    batch_size: int
    rollout_length: int
    contact_share: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(f"{self.section}.batch_size", self.batch_size, least=2)
        check_count(f"{self.section}.rollout_length", self.rollout_length, least=1)
        check_number(f"{self.section}.contact_share", self.contact_share, least=0, most=1)
