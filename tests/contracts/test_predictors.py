"""What all dynamics in configs/predictor promise."""

import pytest
import torch
from omegaconf import OmegaConf

from agent.run.config.building import build
from agent.run.config.composing import compose_config, group_names
from world_model.layout import Layout

LAYOUT = Layout(
    {"hand": slice(0, 2), "ball": slice(2, 4), "angle": slice(4, 5), "camera": slice(5, 45)}, kinds=[("hand", "ball")]
)
EMBED_DIM, ACTION_DIM = LAYOUT.embed_dim, 3


SMALL = [name for name in group_names()["predictor"] if not name.endswith("_base")]
LARGE = [name for name in group_names()["predictor"] if name.endswith("_base")]


def shipped(name):
    return compose_config([f"predictor={name}"]).values.predictor


@pytest.fixture(scope="module", params=[*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)])
def config(request):
    return shipped(request.param)


@pytest.fixture(params=[1, 3], ids=lambda length: f"context {length}")
def context_length(request, config):
    """Frames of a context, or as few more as the dynamics will do with."""
    return max(request.param, 2) if config._target_.endswith(".MemoryDynamics") else request.param


def make_untrained(config, context_length, **changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build(OmegaConf.merge(config, changes))(
            layout=LAYOUT, action_dim=ACTION_DIM, context_length=context_length
        )


def make(config, context_length, **changes):
    """Builds dynamics with weights that make all of their inputs count."""
    dynamics = make_untrained(config, context_length, **changes)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in dynamics.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter.shape[-1] ** 0.5)
    return dynamics.eval()


def inputs(time, rows=6, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    embeddings = torch.randn(rows, time, EMBED_DIM, generator=generator, dtype=dtype)
    return embeddings, torch.randn(rows, time, ACTION_DIM, generator=generator, dtype=dtype)


def predict(dynamics, embeddings, actions, *further):
    """Returns what the newest action of a context leads to, and each further one after it."""
    state, predictions = dynamics.begin(embeddings, actions[:, :-1]), []
    for action in (actions[:, -1], *further):
        state, prediction = dynamics.step(state, action)
        predictions.append(prediction)
    return torch.stack(predictions, dim=1)


def foresee(dynamics, embeddings, actions):
    """Returns what each action leads to, from as few frames on as will do."""
    first = dynamics.least_context
    state = dynamics.begin(embeddings[:, :first], actions[:, : first - 1])
    after = torch.cat([embeddings[:, first:], torch.full_like(embeddings[:, :1], torch.nan)], dim=1)  # not known yet
    return dynamics.foresee(state, actions[:, first - 1 :], after)[1]


def test_untrained_it_predicts_that_nothing_changes(config, context_length):
    embeddings, actions = inputs(context_length)
    predictions = predict(make_untrained(config, context_length).eval(), embeddings, actions, actions[:, 0])
    assert torch.equal(predictions, embeddings[:, -1:].expand(-1, 2, -1))


def test_a_row_alone_is_predicted_as_in_a_batch(config, context_length):
    dynamics, (embeddings, actions) = make(config, context_length), inputs(context_length)
    together = predict(dynamics, embeddings, actions, actions[:, 0])
    assert together.shape == (6, 2, EMBED_DIM)
    for row in range(6):
        alone = predict(dynamics, embeddings[row, None], actions[row, None], actions[row, None, 0])[0]
        torch.testing.assert_close(alone, together[row], rtol=1e-5, atol=1e-5)


def test_every_frame_and_action_counts(config, context_length):
    dynamics, (embeddings, actions) = make(config, context_length), inputs(context_length)
    prediction = predict(dynamics, embeddings, actions)
    for frame in range(context_length):
        for changed in (embeddings, actions):
            before = changed[:, frame].clone()
            changed[:, frame] += 1
            assert (predict(dynamics, embeddings, actions) - prediction).abs().amax(dim=(1, 2)).min() > 1e-4
            changed[:, frame] = before


def test_a_state_is_tensors_of_a_row_each_that_no_step_changes(config, context_length):
    dynamics, (embeddings, actions) = make(config, context_length), inputs(context_length)
    state = dynamics.begin(embeddings, actions[:, :-1])
    before = [part.clone() for part in state]
    once, twice = (dynamics.step(state, actions[:, -1]) for _ in range(2))
    assert isinstance(state, tuple) and all(len(part) == 6 for part in (*state, *once[0]))
    assert all(torch.equal(part, kept) for part, kept in zip(state, before, strict=True))
    assert torch.equal(once[1], twice[1])
    repeated = tuple(part.repeat_interleave(2, dim=0) for part in state)
    action = actions[:, -1].repeat_interleave(2, dim=0)
    torch.testing.assert_close(dynamics.step(repeated, action)[1][::2], once[1], rtol=1e-5, atol=1e-5)


def test_what_is_foreseen_from_true_frames_is_what_a_context_of_them_leads_to(config, context_length):
    dynamics, (embeddings, actions) = make(config, context_length).double(), inputs(7, dtype=torch.float64)
    foreseen = foresee(dynamics, embeddings, actions)
    assert foreseen.shape == (6, 8 - dynamics.least_context, EMBED_DIM)
    for index in range(foreseen.shape[1]):
        past = dynamics.least_context + index
        alone = predict(dynamics, embeddings[:, :past], actions[:, :past])
        torch.testing.assert_close(foreseen[:, index, None], alone)


def test_to_follow_is_to_begin_with_a_longer_past(config, context_length):
    dynamics, (embeddings, actions) = make(config, context_length).double(), inputs(8, dtype=torch.float64)
    state = dynamics.begin(embeddings[:, :context_length], actions[:, : context_length - 1])
    for past in range(context_length, 8):
        state = dynamics.follow(state, actions[:, past - 1], embeddings[:, past])
        begun = dynamics.begin(embeddings[:, : past + 1], actions[:, :past])
        for followed, expected in zip(state, begun, strict=True):
            torch.testing.assert_close(followed, expected)
    first = dynamics.begin(embeddings[:, :context_length], actions[:, : context_length - 1])
    at_once, _ = dynamics.foresee(first, actions[:, context_length - 1 : 7], embeddings[:, context_length:])
    for followed, expected in zip(at_once, state, strict=True):
        torch.testing.assert_close(followed, expected)


def test_to_step_is_to_follow_what_was_predicted(config, context_length):
    dynamics, (embeddings, actions) = make(config, context_length).double(), inputs(3, dtype=torch.float64)
    state = dynamics.begin(embeddings, actions[:, :-1])
    stepped, prediction = dynamics.step(state, actions[:, -1])
    followed = dynamics.follow(state, actions[:, -1], prediction)
    for ours, theirs in zip(stepped, followed, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_what_is_foreseen_of_its_own_predictions_is_a_rollout(config, context_length):
    dynamics, (embeddings, actions) = make(config, context_length).double(), inputs(context_length, dtype=torch.float64)
    further = inputs(4, dtype=torch.float64)[1]
    imagined = predict(dynamics, embeddings, actions, *further.unbind(dim=1))
    frames = torch.cat([embeddings, imagined[:, :-1]], dim=1)
    foreseen = foresee(dynamics, frames, torch.cat([actions, further], dim=1))
    torch.testing.assert_close(foreseen[:, -5:], imagined)


def test_what_is_saved_predicts_the_same_when_it_is_loaded(config):
    dynamics, (embeddings, actions) = make(config, 3), inputs(3)
    loaded = make_untrained(config, 3).eval()
    loaded.load_state_dict(dynamics.state_dict())
    predictions = (predict(it, embeddings, actions, actions[:, 0]) for it in (dynamics, loaded))
    assert torch.equal(*predictions)


def test_its_gradient_is_that_of_finite_differences(config, context_length):
    dynamics = make(config, context_length).double()
    arguments = [tensor.requires_grad_() for tensor in inputs(context_length, rows=2, dtype=torch.float64)]
    assert torch.autograd.gradcheck(lambda *given: predict(dynamics, *given, given[1][:, 0]), arguments)


def test_every_parameter_learns(config):
    dynamics, (embeddings, actions) = make(config, 3), inputs(3)
    predict(dynamics, embeddings, actions).square().mean().backward()
    largest = {name: float(parameter.grad.abs().max()) for name, parameter in dynamics.named_parameters()}
    assert min(largest.values()) > 1e-7, largest


@pytest.mark.parametrize("name", SMALL)
def test_it_learns_what_an_action_does_two_frames_later(name):
    """The older of two actions moves the embedding: whoever reads only the newest frame cannot know."""
    dynamics = make_untrained(shipped(name), 2).train()
    embeddings, actions = inputs(2, rows=64)
    targets = embeddings[:, -1].clone()
    targets[:, 0] += actions[:, 0, 0]
    optimizer = torch.optim.Adam(dynamics.parameters(), lr=3e-3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(150):
            optimizer.zero_grad()
            (predict(dynamics, embeddings, actions)[:, 0] - targets).square().mean().backward()
            optimizer.step()
    error = (predict(dynamics.eval(), embeddings, actions)[:, 0] - targets).square().mean()
    assert error < 0.1 * (embeddings[:, -1] - targets).square().mean()


def test_every_value_of_the_yaml_matters(config):
    def outcome(**changes):
        dynamics = make(config, 3, **changes).train()
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            predictions = predict(dynamics, *inputs(3)).flatten().tolist()
            return [*(tensor.shape for tensor in dynamics.state_dict().values()), *predictions]

    for key, value in config.items():
        if not str(key).startswith("_"):
            assert outcome(**{key: 2 * value}) != outcome(), key
