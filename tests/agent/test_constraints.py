import pytest
import torch
from torch import Tensor

from agent.cost.constraints import SpeedLimit, WorkspaceLimit
from agent.cost.intrinsic import ControlEffort
from agent.cost.statistics import FittedCost, TrainingStatistics
from agent.cost.types import CostModule
from world_model.types import LatentGoal, LatentTrajectory

BLOCKS = {"tip": slice(0, 3), "object": slice(3, 5)}
SENSORS = {"tip": (3,), "object": (2,), "camera_pose": (3,)}
GOAL = LatentGoal(embedding=torch.zeros(1, 5), mask=torch.ones(1, 5, dtype=torch.bool))
CONTROL_DT, ACTION_REPEAT = 0.05, 4
STEP_DURATION = 0.2
WORKSPACE = {"low": [-1.0, -2.0, 0.0], "high": [1.0, 2.0, 0.5], "sensor": "tip", "ridge": 1e-9}
SPEED = {"max_speed": 0.3, "sensor": "tip", "ridge": 1e-9}


def embed(tip: Tensor) -> Tensor:
    """Embeds positions `[..., 3]` of the tip linearly: `[..., 5]`."""
    turned = tip @ torch.tensor([[0.0, 2.0, 0.0], [-2.0, 0.0, 1.0], [0.0, 0.0, 3.0]]) + 0.7
    return torch.cat([turned, torch.zeros(*tip.shape[:-1], 2)], dim=-1)


def imagine(start: list[float], positions: list[list[list[float]]]) -> LatentTrajectory:
    """Returns one problem's candidates that lead the tip from a start along positions `[num_samples, horizon, 3]`."""
    embeddings = embed(torch.tensor(positions))[None]
    return LatentTrajectory(
        embeddings=embeddings,
        actions=torch.zeros(*embeddings.shape[:3], 2),
        previous_action=torch.zeros(1, 2),
        start=embed(torch.tensor([start])),
    )


@pytest.fixture
def statistics() -> TrainingStatistics:
    tip = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    return TrainingStatistics(
        embeddings=embed(tip),
        readings={"tip": tip, "object": torch.zeros(200, 2), "camera_pose": tip + 1.0},
        control_dt=CONTROL_DT,
        action_repeat=ACTION_REPEAT,
    )


def fitted(term: FittedCost, statistics: TrainingStatistics) -> FittedCost:
    term.fit(statistics)
    return term


@pytest.fixture
def workspace(statistics):
    return fitted(WorkspaceLimit(**WORKSPACE, blocks=BLOCKS, sensors=SENSORS), statistics)


@pytest.fixture
def speed(statistics):
    return fitted(SpeedLimit(**SPEED, blocks=BLOCKS, sensors=SENSORS), statistics)


def test_inside_the_box_everything_is_free(workspace):
    imagined = imagine([9.0, 9.0, 9.0], [[[0.0, 0.0, 0.1], [0.99, -1.99, 0.49]]])
    embeddings = imagined.embeddings.requires_grad_()
    cost = workspace(imagined, GOAL)
    cost.sum().backward()
    assert cost.item() == 0.0
    assert torch.equal(embeddings.grad, torch.zeros_like(embeddings))


def test_outside_the_box_the_distance_to_it_is_the_cost_summed_over_the_horizon(workspace):
    outside = imagine(
        [0.0, 0.0, 0.1],
        [
            [[1.5, 0.0, 0.1], [0.0, 0.0, 0.1]],  # 0.5 m beyond one face
            [[-1.3, 2.4, 0.1], [0.0, 0.0, -0.2]],  # 0.3 m and 0.4 m beyond two, then 0.2 m below
        ],
    )
    torch.testing.assert_close(workspace(outside, GOAL), torch.tensor([[0.5, 0.5 + 0.2]]), rtol=0.0, atol=1e-5)


def test_a_limit_in_metres_makes_it_a_constraint(workspace):
    imagined = imagine([0.0, 0.0, 0.1], [[[1.5, 0.0, 0.1]], [[0.0, 0.0, 0.1]]])
    cost = CostModule(
        terms={"workspace": workspace, "effort": ControlEffort()}, weights={"effort": 1.0}, limits={"workspace": 0.1}
    )
    torch.testing.assert_close(
        cost.violations(imagined, GOAL), torch.tensor([[[4.0], [-1.0]]]), rtol=0.0, atol=1e-4
    )  # 0.4 m too far is four times the limit


def test_what_moves_slowly_is_free(speed):
    assert speed(imagine([0.0, 0.0, 0.0], [[[0.05, 0.0, 0.0], [0.05, 0.03, -0.04]]]), GOAL).item() == 0.0


def test_the_speed_above_the_limit_is_the_cost_from_the_present_position_on(speed):
    fast = imagine(
        [1.0, 0.0, 0.0],
        [
            [[1.1, 0.0, 0.0], [1.1, 0.0, 0.0]],  # 0.5 m/s, then still
            [[1.0, 0.0, 0.0], [1.0, 0.12, 0.16]],  # still, then 1 m/s
        ],
    )
    torch.testing.assert_close(speed(fast, GOAL), torch.tensor([[0.2, 0.7]]), rtol=0.0, atol=1e-5)


def test_what_stands_still_has_a_gradient_of_zero(speed):
    imagined = imagine([1.0, 0.0, 0.0], [[[1.0, 0.0, 0.0]]])
    embeddings = imagined.embeddings.requires_grad_()
    speed(imagined, GOAL).sum().backward()
    assert torch.equal(embeddings.grad, torch.zeros_like(embeddings))


def test_a_sensor_that_the_world_model_does_not_use_can_be_limited_too(statistics):
    term = WorkspaceLimit(**(WORKSPACE | {"sensor": "camera_pose"}), blocks=BLOCKS, sensors=SENSORS)
    imagined = imagine([0.0, 0.0, 0.0], [[[0.2, 0.0, -0.8]]])  # the camera is at 1.2, 1.0, 0.2
    torch.testing.assert_close(fitted(term, statistics)(imagined, GOAL), torch.tensor([[0.2]]), rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("change", [{"low": [-1.2, -2.0, 0.0]}, {"high": [1.0, 2.5, 0.5]}, {"ridge": 1.0}])
def test_every_value_of_the_workspace_matters(workspace, statistics, change):
    imagined = imagine([0.0, 0.0, 0.0], [[[-1.3, 2.4, 0.1]]])
    other = fitted(WorkspaceLimit(**(WORKSPACE | change), blocks=BLOCKS, sensors=SENSORS), statistics)
    assert abs(other(imagined, GOAL) - workspace(imagined, GOAL)).item() > 0.01


@pytest.mark.parametrize("change", [{"max_speed": 0.4}, {"ridge": 1.0}])
def test_every_value_of_the_speed_matters(speed, statistics, change):
    imagined = imagine([0.0, 0.0, 0.0], [[[0.1, 0.0, 0.0]]])
    other = fitted(SpeedLimit(**(SPEED | change), blocks=BLOCKS, sensors=SENSORS), statistics)
    assert abs(other(imagined, GOAL) - speed(imagined, GOAL)).item() > 0.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sensor": "tpi"}, r"sensor must be among .* \['camera_pose', 'object', 'tip'\], got 'tpi'"),
        ({"low": [0.0, 0.0]}, r"as many numbers as the sensor 'tip', 3, got \[0.0, 0.0\] and"),
        ({"low": [-1.0, 2.5, 0.0]}, r"low must nowhere be above high, got \[-1.0, 2.5, 0.0\]"),
        ({"low": [-1.0, float("nan"), 0.0]}, "low must nowhere be above high"),
        ({"ridge": -1.0}, "ridge must be at least 0 and finite, got -1.0"),
    ],
)
def test_a_workspace_that_means_nothing_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        WorkspaceLimit(**(WORKSPACE | change), blocks=BLOCKS, sensors=SENSORS)


@pytest.mark.parametrize("max_speed", [0.0, -1.0, float("inf"), float("nan")])
def test_a_speed_that_is_no_limit_is_refused(max_speed):
    with pytest.raises(ValueError, match=f"max_speed must be above 0 and finite, got {max_speed}"):
        SpeedLimit(**(SPEED | {"max_speed": max_speed}), blocks=BLOCKS, sensors=SENSORS)
