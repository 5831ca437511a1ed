import pytest
import torch

from world_model.attention import SelfAttention
from world_model.dynamics.transformer import ConditionedLayer, TransformerPredictor


def tokens(seed, rows=3, context=4, width=12):
    return torch.randn(rows, context, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def layer():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ConditionedLayer(width=12, num_heads=3, mlp_ratio=2, dropout=0.5)


def make_predictor(context_length):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TransformerPredictor(
            embed_dim=2,
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
    assert torch.equal(layer(tokens(0), tokens(1)), tokens(0))
    assert torch.equal(layer(tokens(0), 100 * tokens(2)), tokens(0))


def test_a_token_is_changed_by_itself_and_those_before_it_alone(layer):
    layer = wake(layer)
    frames, conditions = tokens(0), tokens(1)
    before = layer(frames, conditions)
    for position in range(4):
        for changed in (frames, conditions):
            kept = changed[:, position].clone()
            changed[:, position] += torch.linspace(-1, 1, 12)
            difference = (layer(frames, conditions) - before).abs().amax(dim=(0, 2))
            changed[:, position] = kept
            assert (difference[:position] == 0).all()
            assert (difference[position:] > 1e-5).all()


def test_with_fresh_layers_it_sees_the_newest_frame_and_action_alone():
    predictor = make_predictor(context_length=3)
    for part in (predictor.change, predictor.modulation):
        wake(part)
    frames, actions = tokens(0, context=3, width=2), tokens(1, context=3, width=2)
    before = predictor(frames, actions)
    for changed in (frames, actions):
        changed[:, :2] += 1
        assert torch.equal(predictor(frames, actions), before)
        changed[:, 2] += 1
        assert (predictor(frames, actions) - before).abs().min() > 1e-4
        before = predictor(frames, actions)


def test_in_training_dropout_leaves_out_parts_and_keeps_their_mean():
    layer = make_predictor(context_length=1).layers[0].dropout
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kept = layer(torch.ones(10_000))
    assert abs(float((kept == 0).float().mean()) - 0.1) < 0.01
    assert abs(float(kept.mean()) - 1) < 0.02


@pytest.mark.parametrize("is_causal", [False, True])
def test_attention_gathers_by_the_weights_that_it_reports(is_causal):
    attention = wake(SelfAttention(width=12, num_heads=3, is_causal=is_causal))
    values = attention.inputs(tokens(0)).chunk(3, dim=2)[2].unflatten(2, (3, 4)).transpose(1, 2)
    gathered = (attention.weights(tokens(0)) @ values).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attention(tokens(0)), attention.output(gathered))
    assert bool((attention.weights(tokens(0)).triu(diagonal=1) == 0).all()) == is_causal
