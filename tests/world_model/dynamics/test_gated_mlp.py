"""Gates: what they leave alone stays to the last bit, and a shut one can open again."""

import pytest
import torch
from torch import nn

from world_model.dynamics.gated_mlp import GatedChange, GatedMLPDynamics
from world_model.layout import Layout


@pytest.fixture
def dynamics():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layout = Layout({"hand": slice(0, 2), "ball": slice(2, 4)}, kinds=[("hand", "ball")])
        return GatedMLPDynamics(layout=layout, action_dim=2, context_length=1, hidden_dim=32, num_layers=2)


def gated(logits):
    """A change of 1 everywhere, behind gates of constant logits."""
    change, hidden = nn.Linear(1, len(logits)), nn.Identity()
    module = GatedChange(hidden, change)
    with torch.no_grad():
        change.weight.zero_(), change.bias.fill_(1.0)
        module.gate.weight.zero_(), module.gate.bias.copy_(torch.tensor(logits))
    return module


def test_a_gate_opens_and_shuts_exactly():
    opening = gated([-9.0, -2.5, 0.0, 2.5, 9.0]).eval()(torch.ones(1, 1))[0]
    assert opening.tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0])
    assert opening[0] == opening[1] == 0
    assert opening[3] == opening[4] == 1


def test_a_shut_gate_learns_in_training_alone():
    for training, learns in ((True, True), (False, False)):
        module = gated([-4.0]).train(training)
        output = module(torch.ones(1, 1))
        assert output.item() == 0
        output.sum().backward()
        assert (module.gate.bias.grad.item() != 0) is learns


def step(hand, ball, action):
    """A hand in the plane that takes the ball with it where it is near; else the ball rests."""
    near = ((hand - ball).norm(dim=1, keepdim=True) < 0.5).float()
    return torch.cat([hand + 0.3 * action, ball + 0.3 * near * action], dim=1)


def test_what_is_not_touched_stays_to_the_last_bit_and_what_is_touched_moves(dynamics):
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(dynamics.train().parameters(), lr=5e-3)
    for _ in range(600):
        hand, action = (2 * torch.rand(256, 2, generator=generator) - 1 for _ in range(2))
        ball = hand + 1.5 * (2 * torch.rand(256, 2, generator=generator) - 1)
        state = torch.cat([hand, ball], dim=1)
        _, prediction = dynamics.step(dynamics.begin(state[:, None], action[:, :0, None]), action)
        optimizer.zero_grad()
        (prediction - step(hand, ball, action)).square().mean().backward()
        optimizer.step()
    dynamics.eval()
    hand, action = (2 * torch.rand(500, 2, generator=generator) - 1 for _ in range(2))
    for distance, rests in ((1.2, True), (0.1, False)):
        ball = hand + distance * torch.tensor([1.0, 0.0])
        state = torch.cat([hand, ball], dim=1)
        _, prediction = dynamics.step(dynamics.begin(state[:, None], action[:, :0, None]), action)
        rested = (prediction[:, 2:] == ball).all(dim=1).float().mean()
        assert rested > 0.9 if rests else rested < 0.1
        assert (prediction - step(hand, ball, action)).abs().mean() < 0.05
