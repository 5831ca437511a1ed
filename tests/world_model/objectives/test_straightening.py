import pytest
import torch

from world_model.objectives.straightening import curvature


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
