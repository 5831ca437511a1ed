import pytest
import torch

from world_model.losses import InverseDynamics, curvature, imagine, prediction_loss


class Adding(torch.nn.Module):
    """Adds the newest action to the newest frame, and a hundredth of all that it sees before them."""

    def forward(self, frames, actions):
        return frames[:, -1] + actions[:, -1] + (frames[:, :-1] + actions[:, :-1]).sum(dim=1) / 100


@pytest.mark.parametrize("context_length", [1, 2, 3])
def test_imagination_starts_from_the_first_frames_and_sees_its_own_predictions(build_model, context_length):
    model = build_model(embed_dims={"position": 2}, context_length=context_length, predictor=lambda **sizes: Adding())
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(4, 6, 2, generator=generator)
    actions = torch.randn(4, 5, 2, generator=generator)
    frames = list(embeddings[:, :context_length].unbind(dim=1))
    for time in range(context_length - 1, 5):
        older = [frames[index] + actions[:, index] for index in range(time - context_length + 1, time)]
        frames.append(frames[time] + actions[:, time] + sum(older, torch.zeros(4, 2)) / 100)
    predictions = imagine(model, embeddings, actions)
    torch.testing.assert_close(predictions, torch.stack(frames[context_length:], dim=1))


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


def test_inverse_dynamics_finds_an_action_that_moves_the_embedding():
    torch.manual_seed(0)
    inverse = InverseDynamics(blocks={"tip": slice(0, 2)}, action_dim=2, hidden_dim=32)
    optimizer = torch.optim.Adam(inverse.parameters(), lr=1e-2)
    for _ in range(300):
        actions = torch.rand(64, 3, 2) - 0.5
        embeddings = torch.cat([torch.zeros(64, 1, 2), actions.cumsum(dim=1)], dim=1)
        loss = inverse(embeddings, actions)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.02 * actions.var()


def test_every_block_must_tell_the_action_by_itself():
    inverse = InverseDynamics(blocks={"camera": slice(0, 2), "tip": slice(2, 3)}, action_dim=1, hidden_dim=8)
    embeddings = torch.randn(4, 3, 3, requires_grad=True)
    inverse(embeddings, torch.zeros(4, 2, 1)).backward()
    assert (embeddings.grad != 0).all()
    alone = InverseDynamics(blocks={"tip": slice(2, 3)}, action_dim=1, hidden_dim=8)
    embeddings.grad = None
    alone(embeddings, torch.zeros(4, 2, 1)).backward()
    assert (embeddings.grad[..., :2] == 0).all()


def path(*points):
    return torch.tensor(points, dtype=torch.float32)[None]


@pytest.mark.parametrize(
    ("embeddings", "expected"),
    [
        (path([0, 0], [1, 1], [3, 3], [4, 4]), 0.0),  # a line, however fast
        (path([0, 0], [1, 0], [1, 2]), 1.0),  # a right angle
        (path([0, 0], [1, 0], [0, 0]), 2.0),  # a U-turn
        (path([0, 0], [1, 0], [1 + 0.5**0.5, 0.5**0.5]), 1 - 0.5**0.5),  # 45 degrees
        (path([0, 0], [1, 0], [2, 0], [2, 1]), 0.5),  # straight on, then a right angle
        (path([0, 0], [0, 0], [1, 0], [2, 0], [2, 0]), 0.0),  # a rest before and behind has no direction
        (path([0, 0], [1e-4, 0], [1, 0], [1, 1]), 1.0),  # nor has a tremor
        (path([3, 3], [3, 3], [3, 3]), 0.0),
    ],
)
def test_the_curvature_of_known_paths(embeddings, expected):
    torch.testing.assert_close(curvature(embeddings), torch.tensor(expected), atol=1e-6, rtol=0)
    torch.testing.assert_close(curvature(0.1 * embeddings), torch.tensor(expected), atol=1e-6, rtol=0)


def test_the_curvature_of_a_batch_counts_every_bend_once():
    line, turn = path([0, 0], [1, 0], [2, 0]), path([0, 0], [1, 0], [0, 0])
    torch.testing.assert_close(curvature(torch.cat([line, turn, line, line])), torch.tensor(0.5))


def test_descending_the_curvature_straightens_a_path_and_a_rest_has_a_finite_gradient():
    embeddings = path([0, 0], [1, 0], [1, 1]).requires_grad_()
    (gradient,) = torch.autograd.grad(curvature(embeddings), embeddings)
    assert curvature(embeddings - 0.01 * gradient) < curvature(embeddings)
    resting = path([0, 0], [1, 0], [1, 0], [2, 0]).requires_grad_()
    (gradient,) = torch.autograd.grad(curvature(resting), resting)
    assert (gradient == 0).all()
