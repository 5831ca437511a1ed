"""What every predictor in configs/predictor promises."""

import pytest
import torch
from omegaconf import OmegaConf

from agent.run.config.building import build
from agent.run.config.composing import compose_config, group_names

EMBED_DIM, ACTION_DIM = 5, 3


SMALL = [name for name in group_names()["predictor"] if not name.endswith("_base")]
LARGE = [name for name in group_names()["predictor"] if name.endswith("_base")]


def shipped(name):
    return compose_config([f"predictor={name}"]).values.predictor


@pytest.fixture(scope="module", params=[*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)])
def config(request):
    return shipped(request.param)


@pytest.fixture(params=[1, 3], ids=lambda length: f"context {length}")
def context_length(request):
    return request.param


def make_untrained(config, context_length, **changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build(OmegaConf.merge(config, changes))(
            embed_dim=EMBED_DIM, action_dim=ACTION_DIM, context_length=context_length
        )


def make(config, context_length, **changes):
    """Builds a predictor with weights that make all of its inputs count."""
    predictor = make_untrained(config, context_length, **changes)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in predictor.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter.shape[-1] ** 0.5)
    return predictor.eval()


def inputs(context_length, rows=6, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    embeddings = torch.randn(rows, context_length, EMBED_DIM, generator=generator, dtype=dtype)
    return embeddings, torch.randn(rows, context_length, ACTION_DIM, generator=generator, dtype=dtype)


def test_untrained_it_predicts_that_nothing_changes(config, context_length):
    embeddings, actions = inputs(context_length)
    assert torch.equal(make_untrained(config, context_length)(embeddings, actions), embeddings[:, -1])


def test_a_row_alone_is_predicted_as_in_a_batch(config, context_length):
    predictor, (embeddings, actions) = make(config, context_length), inputs(context_length)
    together = predictor(embeddings, actions)
    assert together.shape == (6, EMBED_DIM)
    for row in range(6):
        alone = predictor(embeddings[row, None], actions[row, None])[0]
        torch.testing.assert_close(alone, together[row], rtol=1e-5, atol=1e-5)


def test_every_frame_and_action_counts(config, context_length):
    predictor, (embeddings, actions) = make(config, context_length), inputs(context_length)
    prediction = predictor(embeddings, actions)
    for frame in range(context_length):
        for changed in (embeddings, actions):
            before = changed[:, frame].clone()
            changed[:, frame] += 1
            assert (predictor(embeddings, actions) - prediction).abs().amax(dim=1).min() > 1e-4
            changed[:, frame] = before


def test_its_gradient_is_that_of_finite_differences(config, context_length):
    predictor = make(config, context_length).double()
    arguments = [tensor.requires_grad_() for tensor in inputs(context_length, rows=2, dtype=torch.float64)]
    assert torch.autograd.gradcheck(predictor, arguments)


def test_every_parameter_learns(config):
    predictor, (embeddings, actions) = make(config, 3), inputs(3)
    predictor(embeddings, actions).square().mean().backward()
    largest = {name: float(parameter.grad.abs().max()) for name, parameter in predictor.named_parameters()}
    assert min(largest.values()) > 1e-7, largest


@pytest.mark.parametrize("name", SMALL)
def test_it_learns_what_an_action_does_two_frames_later(name):
    """The older of two actions moves the embedding: whoever reads only the newest frame cannot know."""
    predictor = make_untrained(shipped(name), 2).train()
    embeddings, actions = inputs(2, rows=64)
    targets = embeddings[:, -1].clone()
    targets[:, 0] += actions[:, 0, 0]
    optimizer = torch.optim.Adam(predictor.parameters(), lr=3e-3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(150):
            optimizer.zero_grad()
            (predictor(embeddings, actions) - targets).square().mean().backward()
            optimizer.step()
    error = (predictor.eval()(embeddings, actions) - targets).square().mean()
    assert error < 0.1 * (embeddings[:, -1] - targets).square().mean()


def test_every_value_of_the_yaml_matters(config):
    def outcome(**changes):
        predictor = make(config, 3, **changes).train()
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            predictions = predictor(*inputs(3)).flatten().tolist()
            return [*(tensor.shape for tensor in predictor.state_dict().values()), *predictions]

    for key, value in config.items():
        if not str(key).startswith("_"):
            assert outcome(**{key: 2 * value}) != outcome(), key
