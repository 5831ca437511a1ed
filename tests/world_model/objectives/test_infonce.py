import pytest
import torch

from world_model.objectives.base import LatentBatch
from world_model.objectives.infonce import InfoNCE, info_nce


def normal(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("batch", [2, 37])
def test_where_nothing_can_be_told_apart_the_contrast_is_the_logarithm_of_the_batch(batch):
    point = torch.full((4, batch, 3), 0.7)
    torch.testing.assert_close(info_nce(point, point, temperature=0.1), torch.tensor(float(batch)).log())


def test_predictions_at_targets_that_are_far_apart_have_no_contrast_left():
    """All frames of a window are the same here: a target competes with those of its own time alone."""
    grid = 3 * torch.cartesian_prod(*[torch.arange(-2.0, 3.0)] * 2).expand(4, -1, -1)
    assert info_nce(grid, grid, temperature=0.1) < 1e-6
    assert info_nce(grid.roll(1, dims=1), grid, temperature=0.1) > 50


def test_the_contrast_is_the_cross_entropy_of_squared_distances():
    predictions, targets = normal(0, 3, 20, 4), normal(1, 3, 20, 4)
    distances = torch.cdist(predictions, targets).square()
    expected = -(-distances / 0.7).softmax(dim=2).diagonal(dim1=1, dim2=2).log().mean()
    torch.testing.assert_close(info_nce(predictions, targets, temperature=0.7), expected)


def test_the_gradient_through_predictions_and_targets_is_that_of_finite_differences():
    def contrast(predictions, targets):
        return info_nce(predictions, targets, temperature=0.7)

    assert torch.autograd.gradcheck(
        contrast, (normal(0, 2, 5, 3).requires_grad_(), normal(1, 2, 5, 3).requires_grad_())
    )


def test_it_compares_predictions_with_targets_and_each_block_counts_alike():
    """One block can be told apart, the other not at all: the weighted mean of 0 and the logarithm of the batch."""
    clear, point = 30 * normal(0, 16, 3, 3), torch.zeros(16, 3, 2)
    batch = LatentBatch(
        observation={},
        embeddings=torch.full((16, 4, 5), torch.nan),  # of no use
        predictions=torch.cat([clear, point], dim=2),
        targets=torch.cat([clear, point], dim=2),
        blocks={"tip": slice(0, 3), "joints": slice(3, 5)},
    )
    loss = InfoNCE(weight=3.0, temperature=0.01).loss(batch, torch.Generator())
    torch.testing.assert_close(loss, 3 * torch.tensor(16.0, dtype=torch.float64).log() / 2)


def test_what_lies_at_a_point_is_driven_apart():
    """Embeddings that learn by it alone, from almost a point, end where each is told from all others."""
    embeddings = (1e-3 * normal(0, 1, 16, 2)).requires_grad_()
    optimizer = torch.optim.Adam([embeddings], lr=0.1)
    for _ in range(100):
        loss = info_nce(embeddings, embeddings, temperature=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.01


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weight": 0.0, "temperature": 1.0}, "weight must be above 0 and finite, got 0.0"),
        ({"weight": 1.0, "temperature": 0.0}, "temperature must be above 0 and finite, got 0.0"),
    ],
)
def test_values_without_meaning_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        InfoNCE(**values)
