"""Robot and world apart: nothing of the world reaches the robot's numbers, and all reaches the world's."""

import pytest
import torch

from world_model.dynamics.ego_mlp import EgoMLPDynamics
from world_model.layout import Layout

LAYOUT = Layout({"tip": slice(0, 2), "camera": slice(2, 8)})
OF_ROBOT, OF_WORLD = slice(2, 5), [0, 1, 5, 6, 7]


def make(ego_dim=3, context_length=1):
    return EgoMLPDynamics(
        layout=LAYOUT, action_dim=2, context_length=context_length, hidden_dim=8, num_layers=1, ego_dim=ego_dim
    ).double()


@pytest.fixture(params=[1, 2], ids=lambda length: f"context {length}")
def jacobian(request):
    """What each predicted number depends on: of the newest frames `[8, context, 8]`, and of all actions."""
    length = request.param
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dynamics = make(context_length=length).train()
        for parameter in dynamics.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        frames, actions = torch.randn(1, length, 8).double(), torch.randn(1, length, 2).double()

    def change(frames, actions):
        state = dynamics.begin(frames, actions[:, :-1])
        return (dynamics.predict(state, actions[:, -1])[1] - frames[:, -1])[0]

    return [part.abs()[:, 0] for part in torch.autograd.functional.jacobian(change, (frames, actions))]


def test_the_robot_depends_on_itself_and_on_commands_alone(jacobian):
    of_frames, of_actions = jacobian
    assert not of_frames[OF_ROBOT][..., OF_WORLD].any()
    assert (of_frames[OF_ROBOT][..., OF_ROBOT] > 0).all()
    assert (of_actions[OF_ROBOT] > 0).all()


def test_the_world_depends_on_both(jacobian):
    of_frames, of_actions = jacobian
    assert (of_frames[OF_WORLD] > 0).all()
    assert (of_actions[OF_WORLD] > 0).all()


def test_a_size_that_leaves_no_world_is_refused():
    with pytest.raises(
        ValueError, match=r"ego_dim must be below the size of a block, got 6 of blocks {'tip': 2, 'camera': 6}"
    ):
        make(ego_dim=6)


def test_every_row_of_every_weight_learns():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dynamics = make().train()
        for parameter in dynamics.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        state = dynamics.begin(torch.randn(64, 1, 8).double(), torch.empty(64, 0, 2).double())
        _, predicted = dynamics.predict(state, torch.randn(64, 2).double())
    (predicted * torch.randn(8).double()).sum().backward()
    for name, parameter in dynamics.named_parameters():
        assert (parameter.grad.reshape(len(parameter), -1).abs().amax(dim=1) > 0).all(), name
