import pytest
import torch

from planners.noise import check_noise, temporal_noise, white_noise


def generator(seed):
    return torch.Generator().manual_seed(seed)


def test_the_same_seeds_give_the_same_noise():
    first = white_noise([generator(0), generator(1)], (3, 4), like=torch.zeros(()))
    second = white_noise([generator(0), generator(1)], (3, 4), like=torch.zeros(()))
    assert torch.equal(first, second)


def test_a_problems_noise_depends_on_its_own_generator_alone():
    batched = white_noise([generator(0), generator(1), generator(2)], (3, 4), like=torch.zeros(()))
    alone = white_noise([generator(1)], (3, 4), like=torch.zeros(()))
    assert torch.equal(batched[1], alone[0])
    assert not torch.equal(batched[0], batched[1])


def test_white_noise_is_standard_normal_and_independent():
    noise = white_noise([generator(0), generator(1)], (50_000,), like=torch.zeros((), dtype=torch.float64))
    assert noise.dtype == torch.float64
    assert noise.mean().abs() < 0.01
    assert abs(noise.std() - 1) < 0.01
    assert torch.corrcoef(noise)[0, 1].abs() < 0.02
    assert torch.corrcoef(torch.stack([noise[0, 1:], noise[0, :-1]]))[0, 1].abs() < 0.02


def draw(exponent, num_knots, horizon=32, num_draws=20_000):
    like = torch.zeros(1, dtype=torch.float64)
    noise = temporal_noise([generator(0)], (num_draws, horizon, 1), like=like, exponent=exponent, num_knots=num_knots)
    return noise[0, :, :, 0]  # [num_draws, horizon]


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("num_knots", [None, 1, 5])
def test_every_number_of_temporal_noise_is_standard(exponent, num_knots):
    noise = draw(exponent, num_knots)
    assert noise.mean(dim=0).abs().max() < 0.03
    assert (noise.std(dim=0) - 1).abs().max() < 0.03


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_the_spectrum_falls_with_the_exponent(exponent):
    power = torch.fft.rfft(draw(exponent, None) * torch.hann_window(32, dtype=torch.float64)).abs().square().mean(dim=0)
    bands = torch.arange(3, 13, dtype=torch.float64)
    slope = torch.linalg.lstsq(torch.stack([bands.log(), torch.ones(10)], dim=1), power[3:13].log()).solution[0]
    assert abs(slope + exponent) < 0.2


def test_coloured_noise_does_not_tie_the_end_to_the_beginning():
    correlation = torch.corrcoef(draw(2.0, None).T)
    assert correlation[0, 1] > 0.8
    assert correlation[0, -1].abs() < 0.1


def test_noise_on_knots_is_a_spline_through_them():
    noise = draw(0.0, 4, horizon=10, num_draws=100)
    rank = torch.linalg.matrix_rank(noise)
    assert rank == 4


def test_more_knots_than_steps_are_a_free_value_at_each_step():
    assert torch.equal(draw(0.0, 99, horizon=5), draw(0.0, None, horizon=5))


def test_a_problems_temporal_noise_depends_on_its_own_generator_alone():
    like = torch.zeros(2)
    batched, alone = (
        temporal_noise([generator(seed) for seed in seeds], (3, 4, 5, 2), like=like, exponent=1.0, num_knots=3)
        for seeds in ((0, 1), (1,))
    )
    torch.testing.assert_close(batched[1], alone[0])


@pytest.mark.parametrize(
    ("exponent", "num_knots", "message"),
    [
        (-1.0, None, r"noise_exponent must be in \[0, 4\], got -1.0"),
        (0.0, 0, "num_knots must be a whole number of at least 1, or null, got 0"),
    ],
)
def test_what_is_no_noise_is_refused_in_one_sentence(exponent, num_knots, message):
    with pytest.raises(ValueError, match=message):
        check_noise(exponent, num_knots)
