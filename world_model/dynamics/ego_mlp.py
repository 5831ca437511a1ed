"""Dynamics that keep the robot apart from the world: commands move the one, and contact alone the other."""

import torch
from torch import Tensor, nn

from jepa_mpc.ranges import check_count
from world_model.dynamics.gated_mlp import GatedChange, GatedMLPDynamics
from world_model.layout import Layout
from world_model.perceptron import hidden_layers, zero_linear


class EgoMLPDynamics(GatedMLPDynamics):
    """Predicts the robot from itself and its commands alone, and gated changes of the world from both.

    A block of more than `ego_dim` numbers, as a camera's, has two parts. Its first `ego_dim` numbers are to tell of the
    robot: an ego model (LeCun 2022, section 4.10), which sees nothing else, predicts them from all commands. The others
    are to tell of the world, which mostly stays: they change behind gates, and so do smaller blocks, those of joints
    too. An encoder that learns together with such dynamics has to tell the two apart. A latent variable adds to whole
    blocks: in one that has several futures the two are no longer apart.

    Args:
        layout: How an embedding is divided.
        action_dim: Size of an encoded action.
        context_length: Frames that it sees.
        hidden_dim: Width of every hidden layer.
        num_layers: Hidden layers.
        ego_dim: Numbers of the robot in each block that has more.

    Raises:
        ValueError: A size is below 1, or no block has more than `ego_dim` numbers.
    """

    def __init__(
        self,
        *,
        layout: Layout,
        action_dim: int,
        context_length: int,
        hidden_dim: int,
        num_layers: int,
        ego_dim: int,
    ) -> None:
        super().__init__(
            layout=layout,
            action_dim=action_dim,
            context_length=context_length,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
        )
        check_count("ego_dim", ego_dim, least=1)
        sizes = {name: block.stop - block.start for name, block in layout.blocks.items()}
        of_robot = torch.zeros(layout.seen_dim, dtype=torch.bool)
        for name, block in layout.blocks.items():
            if sizes[name] > ego_dim:
                of_robot[block.start : block.start + ego_dim] = True
        if not of_robot.any():
            raise ValueError(f"ego_dim must be below the size of a block, got {ego_dim} of blocks {sizes}")
        of_commands = torch.ones(context_length * action_dim, dtype=torch.bool)
        num_ego = int(of_robot.sum())
        known_dim = context_length * (num_ego + action_dim)
        assert isinstance(self.change, GatedChange)
        self.change = EgoChange(
            world=GatedChange(self.change.hidden, zero_linear(hidden_dim, layout.embed_dim - num_ego)),
            ego=nn.Sequential(*hidden_layers(known_dim, hidden_dim, num_layers), zero_linear(hidden_dim, num_ego)),
            known=torch.cat([of_robot.repeat(context_length), of_commands]).nonzero()[:, 0],
            of_robot=of_robot[: layout.embed_dim],
        )


class EgoChange(nn.Module):
    """A change of the robot that depends on the robot alone, and one of the world that depends on all.

    Args:
        world: From all that is known, `[..., known_dim]`, to the change of the world's numbers.
        ego: From what is known of the robot to the change of its numbers.
        known: Which of what is known tells of the robot and its commands, `[num_known]`.
        of_robot: Which numbers of an embedding are the robot's, `[embed_dim]`, true or false.
    """

    known: Tensor
    places: Tensor

    def __init__(self, *, world: nn.Module, ego: nn.Module, known: Tensor, of_robot: Tensor) -> None:
        super().__init__()
        self.world, self.ego = world, ego
        self.register_buffer("known", known, persistent=False)
        robot_first = torch.argsort(~of_robot, stable=True)
        self.register_buffer("places", torch.argsort(robot_first), persistent=False)

    def forward(self, known: Tensor) -> Tensor:
        """Returns the change `[..., embed_dim]` of what is known, `[..., known_dim]`."""
        both = torch.cat([self.ego(known[..., self.known]), self.world(known)], dim=-1)
        return both[..., self.places]
