import pytest
import torch

from world_model.encoders.keypoints import STRIDE, KeypointEncoder, spatial_softmax

SIZE = 64


@pytest.fixture
def encoder():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make((SIZE, SIZE, 3))


def make(input_shape):
    return KeypointEncoder(
        input_shape=input_shape, embed_dim=2, channels=8, num_keypoints=6, temperature=0.01, hidden_dim=16
    )


def dot(row, column):
    """Returns a black image with a white dot of 4 x 4 pixels, its upper left corner given."""
    image = torch.full((1, SIZE, SIZE, 3), -1.0)
    image[:, row : row + 4, column : column + 4] = 1.0
    return image


@pytest.mark.parametrize(("row", "column"), [(0, 0), (2, 5), (3, 7)])
def test_a_heat_map_with_one_dominant_peak_points_at_that_cell(row, column):
    heat_maps = torch.zeros(1, 1, 4, 8)
    heat_maps[0, 0, row, column] = 50.0
    x, y = (2 * column + 1) / 8 - 1, (2 * row + 1) / 4 - 1
    torch.testing.assert_close(spatial_softmax(heat_maps), torch.tensor([[[x, y]]]))


def test_two_peaks_point_between_them_by_their_shares():
    heat_maps = torch.full((1, 1, 4, 4), -torch.inf)
    heat_maps[0, 0, 0, 0], heat_maps[0, 0, 2, 3] = torch.tensor([0.75, 0.25]).log()
    torch.testing.assert_close(spatial_softmax(heat_maps), torch.tensor([[[-0.375, -0.5]]]))


def test_places_are_as_exact_where_the_encoder_works_in_half_precision():
    heat_maps = 10 * torch.rand(1, 8, 24, 24, generator=torch.Generator().manual_seed(0)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        places = spatial_softmax(heat_maps)
    assert torch.equal(places, spatial_softmax(heat_maps.float()))


def test_an_even_heat_map_points_at_the_middle():
    torch.testing.assert_close(spatial_softmax(torch.ones(2, 3, 6, 10)), torch.zeros(2, 3, 2))


@pytest.mark.parametrize("steps", [(0, 1), (1, 0), (-2, 3)], ids=str)
def test_a_dot_that_moves_by_strides_moves_each_keypoint_by_the_dots_share_of_it(encoder, steps):
    """Only what the dot adds to the softmax moves; all else, the border included, stays where it is."""
    encoder = encoder.double()
    with torch.no_grad():
        encoder.heat_maps[-1].weight *= 10  # sharper, so that the dot has a share worth speaking of
        down, right = steps
        start, end = dot(24, 28).double(), dot(24 + STRIDE * down, 28 + STRIDE * right).double()
        with_dot, without = (
            (encoder.heat_maps(image.permute(0, 3, 1, 2)) / 0.01).exp()
            for image in (start, torch.full_like(start, -1.0))
        )
        share = (with_dot - without).sum(dim=(2, 3)) / with_dot.sum(dim=(2, 3))  # [1, num_keypoints]
        moved = encoder.tokens(end) - encoder.tokens(start)
    shift = 2 * STRIDE / SIZE * torch.tensor([right, down], dtype=torch.float64)
    torch.testing.assert_close(moved, share[:, :, None] * shift)
    assert share.abs().max() > 0.1


def test_keypoints_lie_inside_the_image_and_a_wide_image_has_wide_heat_maps():
    encoder = make((32, 64, 3))
    images = torch.rand(5, 32, 64, 3, generator=torch.Generator().manual_seed(0))
    assert encoder.heat_maps(images.permute(0, 3, 1, 2)).shape == (5, 6, 8, 16)
    assert encoder.tokens(images).shape == (5, 6, 2)
    assert encoder.tokens(images).abs().max() < 1
