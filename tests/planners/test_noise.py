import torch

from planners.noise import white_noise


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
