import pytest
import torch

from world_model.encoders.projector import Projector
from world_model.training.ordering import order_of_persistence


def draw(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_what_rests_comes_before_what_trembles_and_leaps_hardly_count():
    """Three mixed signals: one rests and seldom leaps, one trembles a little, one trembles more."""
    num_windows = 8192
    leaps = torch.rand(num_windows, generator=torch.Generator().manual_seed(9)) < 0.05
    rests, trembles, shakes = draw(3, num_windows, seed=0)
    before = torch.stack([rests, trembles, shakes], dim=1)
    after = torch.stack(
        [
            torch.where(leaps, draw(num_windows, seed=1), rests),
            trembles + 0.2 * draw(num_windows, seed=2),
            shakes + 0.4 * draw(num_windows, seed=3),
        ],
        dim=1,
    )
    mixing, offset = draw(3, 3, seed=4), draw(3, seed=5)
    matrix, mean = order_of_persistence(before @ mixing + offset, after @ mixing + offset)
    frames = torch.cat([before, after])
    found = ((frames @ mixing + offset).double() - mean) @ matrix
    torch.testing.assert_close(torch.cov(found.T), torch.eye(3, dtype=torch.float64), atol=1e-3, rtol=0)
    correlations = torch.corrcoef(torch.cat([found.T, frames.T.double()]))[:3, 3:].abs()
    assert (correlations.diagonal() > 0.98).all()


def test_an_order_is_found_where_a_number_says_nothing():
    before = draw(64, 3, seed=0)
    before[:, 1] *= 1e-5
    after = before + 0.1 * draw(64, 3, seed=1) * torch.tensor([1.0, 0.0, 3.0])
    matrix, mean = order_of_persistence(before, after)
    found = ((torch.cat([before, after])).double() - mean) @ matrix
    assert matrix.isfinite().all() and (found.std(dim=0)[:2] > 0.9).all() and found.std(dim=0)[2] < 1e-3


@pytest.mark.parametrize("first", [1, 3, 5])
def test_a_head_gives_the_numbers_that_it_gave_recombined_and_the_others_as_they_were(first):
    head = Projector(input_dim=4, hidden_dim=8, embed_dim=5).eval()
    features, matrix, mean = draw(10, 4, seed=0), draw(first, first, seed=1).double(), draw(first, seed=2).double()
    before = head(features)
    head.recombine(matrix, mean)
    after = head(features)
    torch.testing.assert_close(after[:, :first], ((before[:, :first].double() - mean) @ matrix).float())
    torch.testing.assert_close(after[:, first:], before[:, first:])
