import pytest
import torch

from world_model.dynamics.transformer import ConditionedLayer, TransformerDynamics
from world_model.layout import Layout


def tokens(seed, rows=3, time=4, width=12):
    return torch.randn(rows, time, width, generator=torch.Generator().manual_seed(seed))


def no_cache(rows=3, width=12):
    return torch.zeros(rows, 0, width), torch.zeros(rows, 0, width)


@pytest.fixture
def layer():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ConditionedLayer(width=12, num_heads=3, reach=4, mlp_ratio=2, dropout=0.5)


def make_dynamics(context_length):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TransformerDynamics(
            layout=Layout({"place": slice(0, 2)}),
            action_dim=2,
            context_length=context_length,
            num_layers=2,
            width=8,
            num_heads=2,
            mlp_ratio=2,
            dropout=0.1,
        )


def wake(module):
    """Draws the weights that begin at 0."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def test_a_fresh_layer_is_the_identity_whatever_the_action(layer):
    assert torch.equal(layer(tokens(0), tokens(1), no_cache())[0], tokens(0))
    assert torch.equal(layer(tokens(0), 100 * tokens(2), no_cache())[0], tokens(0))


def test_a_token_is_changed_by_itself_and_those_before_it_alone(layer):
    layer = wake(layer)
    frames, conditions = tokens(0), tokens(1)
    before, _ = layer(frames, conditions, no_cache())
    for position in range(4):
        for changed in (frames, conditions):
            kept = changed[:, position].clone()
            changed[:, position] += torch.linspace(-1, 1, 12)
            difference = (layer(frames, conditions, no_cache())[0] - before).abs().amax(dim=(0, 2))
            changed[:, position] = kept
            assert (difference[:position] == 0).all()
            assert (difference[position:] > 1e-5).all()


def foresee(dynamics, frames, actions):
    after = torch.cat([frames[:, 1:], frames[:, :1]], dim=1)  # what comes last is not looked at
    return dynamics.foresee(dynamics.begin(frames[:, :1], actions[:, :0]), actions, after)[1]


def test_with_fresh_layers_it_sees_the_newest_frame_and_action_alone():
    dynamics = make_dynamics(context_length=3)
    for part in (dynamics.change, dynamics.modulation):
        wake(part)
    frames, actions = tokens(0, time=3, width=2), tokens(1, time=3, width=2)
    before = foresee(dynamics, frames, actions)[:, 2]
    for changed in (frames, actions):
        changed[:, :2] += 1
        assert torch.equal(foresee(dynamics, frames, actions)[:, 2], before)
        changed[:, 2] += 1
        assert (foresee(dynamics, frames, actions)[:, 2] - before).abs().min() > 1e-4
        before = foresee(dynamics, frames, actions)[:, 2]


def test_in_training_dropout_leaves_out_parts_and_keeps_their_mean():
    layer = make_dynamics(context_length=1).layers[0].dropout
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kept = layer(torch.ones(10_000))
    assert abs(float((kept == 0).float().mean()) - 0.1) < 0.01
    assert abs(float(kept.mean()) - 1) < 0.02
