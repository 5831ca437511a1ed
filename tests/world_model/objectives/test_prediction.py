from functools import partial

import pytest
import torch

from world_model.dynamics.base import Dynamics
from world_model.dynamics.gru import GRUDynamics
from world_model.objectives.prediction import imagine, prediction_loss, predictions


class Adding(Dynamics):
    """Adds the newest action to the newest frame, and a hundredth of all that the context holds before them."""

    least_context = 0

    def __init__(self, context_length):
        super().__init__()
        self.least_context = context_length

    def begin(self, embeddings, actions):
        return embeddings, actions

    def predict(self, state, action):
        frames, done = state[0], torch.cat([state[1], action[:, None]], dim=1)
        prediction = frames[:, -1] + done[:, -1] + (frames[:, :-1] + done[:, :-1]).sum(dim=1) / 100
        return (frames[:, 1:], done[:, 1:]), prediction

    def take_in(self, foretold, embedding):
        return torch.cat([foretold[0], embedding[:, None]], dim=1), foretold[1]

    def foresee(self, state, actions, embeddings):
        raise NotImplementedError


def predict(model, embeddings, actions):
    predicted, learned = predictions(model, embeddings, actions, came=embeddings, generator=torch.Generator())
    assert learned == {}
    return predicted


@pytest.mark.parametrize("context_length", [1, 2, 3])
def test_imagination_starts_from_the_first_frames_and_sees_its_own_predictions(build_model, context_length):
    model = build_model(
        embed_dims={"position": 2}, context_length=context_length, dynamics=lambda **sizes: Adding(context_length)
    )
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(4, 6, 2, generator=generator)
    actions = torch.randn(4, 5, 2, generator=generator)
    frames = list(embeddings[:, :context_length].unbind(dim=1))
    for time in range(context_length - 1, 5):
        older = [frames[index] + actions[:, index] for index in range(time - context_length + 1, time)]
        frames.append(frames[time] + actions[:, time] + sum(older, torch.zeros(4, 2)) / 100)
    imagined = torch.stack(frames[context_length:], dim=1)
    torch.testing.assert_close(imagine(model, embeddings, actions), imagined)
    torch.testing.assert_close(predict(model, embeddings, actions), imagined)


def test_causal_dynamics_predict_from_every_frame(build_model):
    """From the first frame of a window on: each is predicted from true frames within the context, then imagined."""
    model = build_model(context_length=3, dynamics=partial(GRUDynamics, hidden_dim=8, num_layers=1))
    torch.nn.init.normal_(model.dynamics.change.weight, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    embeddings = torch.randn(4, 6, 4, generator=generator, requires_grad=True)
    actions = torch.randn(4, 5, 2, generator=generator)
    predicted = predict(model, embeddings, actions)
    assert predicted.shape == (4, 5, 4)
    torch.testing.assert_close(predicted[:, 2:], imagine(model, embeddings, actions))
    for position in range(5):
        (gradient,) = torch.autograd.grad(predicted[:, position].sum(), embeddings, retain_graph=True)
        assert (gradient != 0).any(dim=2).all(dim=0).tolist() == [frame <= min(position, 2) for frame in range(6)]


class Knowing(torch.nn.Module):
    """A latent variable that explains all that comes, and notes from where."""

    latent_dim = 1

    def __init__(self, **sizes):
        super().__init__()
        self.seen = []

    def learn(self, transition, observed, generator):
        self.seen.append((transition.embedding, observed))
        return observed, {"latent_mean": observed.mean(), "information": transition.action.mean()}


def test_every_frame_that_is_predicted_is_explained_from_the_one_before(build_model):
    """Within the context the true one, behind it what was imagined: the same here, as all that comes is explained."""
    model = build_model(context_length=3, dynamics=partial(GRUDynamics, hidden_dim=8, num_layers=1), latent=Knowing)
    generator = torch.Generator().manual_seed(1)
    frames, actions = torch.randn(4, 6, 4, generator=generator), torch.randn(4, 5, 2, generator=generator)
    predicted, learned = predictions(model, frames, actions, came=frames, generator=generator)
    torch.testing.assert_close(predicted, frames[:, 1:])
    torch.testing.assert_close(learned, {"latent_mean": frames[:, 1:].mean(), "information": actions.mean()})
    seen = torch.cat([torch.cat(pair, dim=1) for pair in model.latent.seen])
    pairs = torch.cat([frames[:, :-1], frames[:, 1:]], dim=2).flatten(0, 1)
    torch.testing.assert_close(seen[seen[:, 0].argsort()], pairs[pairs[:, 0].argsort()])


def test_blocks_count_alike_whatever_their_size():
    predictions, targets = torch.zeros(2, 3, 5), torch.zeros(2, 3, 5)
    predictions[..., 0] = 2.0
    assert prediction_loss(predictions, targets, {"small": slice(0, 1), "large": slice(1, 5)}) == 2.0
    predictions[..., 1:] = 2.0
    assert prediction_loss(predictions, targets, {"small": slice(0, 1), "large": slice(1, 5)}) == 4.0


def test_blocks_count_by_their_weights():
    predictions, targets = torch.zeros(1, 1, 2), torch.tensor([[[1.0, 2.0]]])
    blocks = {"camera": slice(0, 1), "tip": slice(1, 2)}
    assert prediction_loss(predictions, targets, blocks, weights={"tip": 0.5}) == 2.0
    assert prediction_loss(predictions, targets, blocks, weights={"tip": 0.5, "camera": 0.5}) == 2.5
