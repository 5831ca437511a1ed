"""Soft limits on where the robot goes and how fast: each is a cost or, with a limit, a constraint.

What exceeds a limit counts linearly, so that some weight keeps the limit exactly (an exact penalty; Nocedal & Wright,
"Numerical Optimization", section 17.2), and a constraint's `limit` is in metres, or m/s.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from agent.cost.probe import PositionProbe
from agent.cost.statistics import FittedCost, TrainingStatistics
from jepa_mpc.ranges import check_number
from world_model.types import LatentGoal, LatentTrajectory


class PositionCost(FittedCost):
    """A cost of where a point is, as the tip.

    Args:
        sensor: What reads the point's position.
        ridge: Of the probe; see `PositionProbe`.
        blocks: Sensor name to its place in the embedding.
        sensors: Sensor name to the shape of its reading, of all recorded sensors.
    """

    def __init__(
        self, *, sensor: str, ridge: float, blocks: Mapping[str, slice], sensors: Mapping[str, tuple[int, ...]]
    ) -> None:
        super().__init__()
        self.probe = PositionProbe(sensor=sensor, ridge=ridge, blocks=blocks, sensors=sensors)

    def fit(self, statistics: TrainingStatistics) -> None:
        """Learns to read the position."""
        self.probe.fit(statistics.embeddings, statistics.readings)


class WorkspaceLimit(PositionCost):
    """How far a point, as the tip, lies outside of a box.

    Args:
        low: Lower corner of the box, m, `[size]` of the sensor; None is for who builds it to replace.
        high: Upper corner, m, nowhere below `low`; see `low`.
        position: Arguments of `PositionCost`.
    """

    low: Tensor
    high: Tensor

    def __init__(self, *, low: Sequence[float] | None, high: Sequence[float] | None, **position: Any) -> None:
        super().__init__(**position)
        if low is None or high is None or not len(low) == len(high) == self.probe.size:
            raise ValueError(
                f"low and high must have as many numbers as the sensor '{self.probe.sensor}', {self.probe.size}, "
                f"got {low} and {high}"
            )
        if not all(lower <= upper for lower, upper in zip(low, high, strict=True)):
            raise ValueError(f"low must nowhere be above high, got {list(low)} and {list(high)}")
        self.register_buffer("low", torch.tensor(low, dtype=torch.float32), persistent=False)
        self.register_buffer("high", torch.tensor(high, dtype=torch.float32), persistent=False)

    def forward(self, trajectory: LatentTrajectory, goal: LatentGoal) -> Tensor:  # noqa: ARG002
        """Returns the distance to the box, m, summed over the horizon: `[batch, num_samples]`, 0 inside."""
        position: Tensor = self.probe(trajectory.embeddings)
        outside = (self.low - position).relu() + (position - self.high).relu()
        distance: Tensor = torch.linalg.vector_norm(outside, dim=3)
        return distance.sum(dim=2)


class SpeedLimit(PositionCost):
    """How much faster than allowed a point, as the tip, moves from one model step to the next.

    It is the speed of the straight way; what happens between two frames of the world model is not seen.

    Args:
        max_speed: Speed that costs nothing, m/s, above 0.
        position: Arguments of `PositionCost`.
    """

    step_duration: Tensor

    def __init__(self, *, max_speed: float, **position: Any) -> None:
        super().__init__(**position)
        check_number("max_speed", max_speed, above=0)
        self._max_speed = max_speed
        self.register_buffer("step_duration", torch.tensor(math.nan, dtype=torch.float32))

    def fit(self, statistics: TrainingStatistics) -> None:
        """Learns to read the position, and how long a model step takes, s."""
        super().fit(statistics)
        self.step_duration.fill_(statistics.control_dt * statistics.action_repeat)

    def forward(self, trajectory: LatentTrajectory, goal: LatentGoal) -> Tensor:  # noqa: ARG002
        """Returns the speed above `max_speed`, m/s, summed over the horizon: `[batch, num_samples]`."""
        batch, num_samples = trajectory.embeddings.shape[:2]
        start = trajectory.start[:, None, None].expand(batch, num_samples, 1, -1)
        position: Tensor = self.probe(torch.cat([start, trajectory.embeddings], dim=2))
        speed: Tensor = torch.linalg.vector_norm(position.diff(dim=2), dim=3) / self.step_duration
        return (speed - self._max_speed).relu().sum(dim=2)
