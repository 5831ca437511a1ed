import numpy as np
import pytest
import torch

from world_model.encoders.images import STRIDE
from world_model.encoders.moments import MomentEncoder, moments

SIZE = 64


@pytest.fixture
def encoder():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = MomentEncoder(
            input_shape=(SIZE, SIZE, 3), embed_dim=2, channels=8, num_maps=6, temperature=0.1, hidden_dim=16
        )
    return made.double().eval()


def picture(*squares):
    """Returns a black image with a white square of 4 x 4 pixels at each (row, column)."""
    image = torch.full((1, SIZE, SIZE, 3), -1.0, dtype=torch.float64)
    for row, column in squares:
        image[:, row : row + 4, column : column + 4] = 1.0
    return image


def test_a_marked_cell_counts_once_and_at_its_centre():
    maps = torch.zeros(1, 1, 4, 8)
    maps[0, 0, 1, 6] = 0.5
    assert moments(maps).tolist() == [[[0.5, 0.5 * (2 * 6 + 1) / 8 - 0.5, 0.5 * (2 * 1 + 1) / 4 - 0.5]]]


def test_moments_are_those_of_the_definition():
    maps = torch.rand(3, 2, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, y = (2 * np.arange(7) + 1) / 7 - 1, (2 * np.arange(5) + 1) / 5 - 1
    expected = [
        np.einsum(how, maps.numpy(), *by) for how, by in (("abij->ab", []), ("abij,j->ab", [x]), ("abij,i->ab", [y]))
    ]
    np.testing.assert_allclose(moments(maps).numpy(), np.stack(expected, axis=2), atol=1e-12)


@torch.no_grad()
def test_what_two_things_that_lie_apart_add_to_the_moments_is_told_apart(encoder):
    def told(*squares):
        return moments(encoder._marked(picture(*squares)))

    there, elsewhere, both = told((8, 12)), told((44, 40)), told((8, 12), (44, 40))
    torch.testing.assert_close(both - elsewhere, there - told())
    assert (there - told()).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("cells", [(0, 1), (1, 0), (-2, 3)])
def test_a_thing_that_moves_by_strides_moves_its_moments_by_as_much_as_there_is_of_it(encoder, cells):
    def added(row, column):
        return moments(encoder._marked(picture((row, column))) - encoder._marked(picture()))[0]

    before, after = added(24, 28), added(24 + STRIDE * cells[0], 28 + STRIDE * cells[1])
    way = 2 * STRIDE / SIZE * torch.tensor([0.0, cells[1], cells[0]], dtype=torch.float64)
    torch.testing.assert_close(after, before + before[:, :1] * way)


@torch.no_grad()
def test_attention_lies_where_the_thing_is_and_sums_to_1(encoder):
    weights = encoder.attention(picture((20, 36)))
    assert weights.shape == (1, SIZE // STRIDE, SIZE // STRIDE)
    assert float(weights.sum()) == pytest.approx(1)
    row, column = divmod(int(weights.argmax()), SIZE // STRIDE)
    assert abs(row - 20 // STRIDE) <= 2
    assert abs(column - 36 // STRIDE) <= 2


def test_moments_are_as_exact_where_the_convolutions_work_in_half_precision(encoder):
    encoder = encoder.float()
    images = picture((20, 36)).float()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        marked = encoder._marked(images)
        embedding = encoder(images)
    assert embedding.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(embedding, encoder.projector(moments(marked).flatten(1)))
