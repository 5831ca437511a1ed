import math

import numpy as np
import pytest
import torch

from world_model.objectives.base import LatentBatch
from world_model.objectives.ema_target import EMATarget
from world_model.objectives.gaussian_kl import GaussianKL, gaussian_kl
from world_model.objectives.none import NoRegularizer
from world_model.objectives.sigreg import SIGReg, epps_pulley
from world_model.objectives.vicreg import VICReg, covariance_energy, variance_hinge

BATCH = 512
SPREADING = [
    SIGReg(weight=1.0, num_projections=64),
    VICReg(variance_weight=1.0, covariance_weight=1.0),
    GaussianKL(weight=1.0, least_variance=1e-3),
]


def normal(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def of_blocks(blocks):
    """Returns a batch of embeddings, sensor name to `[time, batch, block_dim]`; the rest is of no use."""
    ends = np.cumsum([block.shape[2] for block in blocks.values()]).tolist()
    embeddings = torch.cat(list(blocks.values()), dim=2).transpose(0, 1)
    return LatentBatch(
        observation={},
        embeddings=embeddings,
        predictions=torch.full_like(embeddings[:, 1:], torch.nan),
        targets=torch.full_like(embeddings[:, 1:], torch.nan),
        blocks={name: slice(start, end) for name, start, end in zip(blocks, [0, *ends], ends, strict=False)},
    )


def collapsed():
    gaussian = normal(4, BATCH, 3)
    line = normal(4, BATCH, 1).expand(-1, -1, 3)
    plane = torch.cat([gaussian[..., :2], gaussian[..., :2].mean(dim=2, keepdim=True)], dim=2)
    return {"point": torch.zeros_like(gaussian), "line": line, "plane": plane}


@pytest.mark.parametrize("regularizer", SPREADING)
@pytest.mark.parametrize("shape", ["point", "line", "plane"])
def test_it_is_low_on_a_gaussian_and_high_on_what_has_collapsed(regularizer, shape):
    def loss(block):
        return regularizer.loss(of_blocks({"tip": block}), torch.Generator().manual_seed(1))

    assert loss(collapsed()[shape]) > 3 * loss(normal(4, BATCH, 3))


@pytest.mark.parametrize("regularizer", SPREADING)
def test_blocks_may_depend_on_each_other(regularizer):
    block, other = normal(4, BATCH, 3), normal(8, BATCH, 3)[4:]
    twice, independent = (
        regularizer.loss(of_blocks({"tip": block, "joints": it}), torch.Generator().manual_seed(1))
        for it in (block.flip(2), other)
    )
    assert twice < 1.3 * independent


def test_the_statistic_of_a_point_is_the_integral_that_defines_it():
    """The characteristic function of a point at 0 is 1: the integral of (1 - exp(-t²/2))² exp(-t²/2)."""
    knots = torch.linspace(-3, 3, 100_001, dtype=torch.float64)
    integrand = (1 - torch.exp(-knots.square() / 2)).square() * torch.exp(-knots.square() / 2)
    expected = 10 * torch.trapezoid(integrand, knots)
    torch.testing.assert_close(epps_pulley(torch.zeros(10, dtype=torch.float64)), expected, rtol=2e-3, atol=0)


def test_the_statistic_of_a_standard_normal_does_not_grow_with_the_batch():
    """Its mean is the integral of (1 - exp(-t²)) exp(-t²/2), cut at 3: what the characteristic function varies by."""
    knots = torch.linspace(-3, 3, 100_001, dtype=torch.float64)
    expected = torch.trapezoid((1 - torch.exp(-knots.square())) * torch.exp(-knots.square() / 2), knots)
    for batch in (64, 1024):
        statistic = epps_pulley(normal(1000, batch, dtype=torch.float64)).mean()
        torch.testing.assert_close(statistic, expected, rtol=0.1, atol=0)


def test_the_gradient_of_the_statistic_is_that_of_finite_differences():
    assert torch.autograd.gradcheck(epps_pulley, (normal(2, 3, 7, dtype=torch.float64).requires_grad_(),))


def test_the_variance_and_covariance_terms_are_what_they_say():
    block = normal(1, 100_000, 2, dtype=torch.float64) * torch.tensor([0.5, 2.0])
    torch.testing.assert_close(variance_hinge(block), torch.tensor([0.25]).double(), atol=5e-3, rtol=0)
    twins = block[..., :1].expand(-1, -1, 2)
    torch.testing.assert_close(covariance_energy(twins), torch.tensor([0.25**2]).double(), rtol=2e-2, atol=0)
    assert covariance_energy(block) < 1e-3


def test_the_divergence_is_that_of_the_gaussian_with_the_samples_moments():
    mean, std = torch.tensor([1.0, 0.0]).double(), torch.tensor([0.5, 2.0]).double()
    samples = mean + std * normal(100_000, 2, dtype=torch.float64)
    exact = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, std), torch.distributions.Normal(torch.zeros(2), torch.ones(2))
    )
    torch.testing.assert_close(gaussian_kl(samples, least_variance=1e-9), exact.mean(), rtol=2e-2, atol=0)


@pytest.mark.parametrize("wrong", [{"weight": 0.0}, {"least_variance": 0.0}])
def test_the_divergence_refuses_what_means_nothing(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must"):
        GaussianKL(**{"weight": 1.0, "least_variance": 1e-3} | wrong)


def test_the_slow_copy_follows_by_its_decay(build_model):
    model, regularizer = build_model(), EMATarget(decay=0.9)
    regularizer.attach(model)
    start = [parameter.clone() for parameter in model.encoders.parameters()]
    with torch.no_grad():
        for parameter in model.encoders.parameters():
            parameter += 1
    for _ in range(5):
        regularizer.update(model)
    for slow, first in zip(regularizer.target.encoders.parameters(), start, strict=True):
        torch.testing.assert_close(slow, first + (1 - 0.9**5))


def test_targets_come_from_the_slow_copy_without_a_gradient(build_model):
    model, regularizer = build_model(), EMATarget(decay=0.9)
    regularizer.attach(model)
    observation = {name: normal(2, 3, 2) for name in model.sensors}
    before = model.encode(observation)
    with torch.no_grad():
        for parameter in model.encoders.parameters():
            parameter += 1
    targets = regularizer.targets(model, observation, model.encode(observation))
    torch.testing.assert_close(targets, before.detach())
    assert not targets.requires_grad
    assert not any(parameter.requires_grad for parameter in regularizer.parameters())


def test_without_a_slow_copy_gradients_flow_through_both_branches(build_model):
    model = build_model()
    observation = {name: normal(2, 3, 2) for name in model.sensors}
    embeddings = model.encode(observation)
    assert NoRegularizer().targets(model, observation, embeddings) is embeddings
    assert embeddings.requires_grad


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SIGReg(weight=0.0, num_projections=8), "weight must be above 0 and finite, got 0.0"),
        (lambda: SIGReg(weight=0.1, num_projections=0), "num_projections must be at least 1, got 0"),
        (
            lambda: VICReg(variance_weight=0.0, covariance_weight=1.0),
            "variance_weight must be above 0 and finite, got 0.0",
        ),
        (lambda: EMATarget(decay=1.0), "decay must be below 1, got 1.0"),
        (lambda: EMATarget(decay=math.nan), "decay must be at least 0 and finite, got nan"),
    ],
)
def test_values_without_meaning_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
