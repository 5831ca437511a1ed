import math

import pytest
import torch

from world_model.probes import effective_rank, fit_probe, r_squared


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def orthonormal_columns(rows, columns):
    centered = normal(rows, columns)
    return torch.linalg.qr(centered - centered.mean(dim=0))[0]


def test_the_effective_rank_of_a_known_spectrum():
    base = orthonormal_columns(1000, 4)
    for variances, expected in (
        ([1, 1, 1, 1], 4.0),
        ([1, 1, 0, 0], 2.0),
        ([1, 0, 0, 0], 1.0),
        ([4, 1, 1, 2], 2 ** (0.5 * 1 + 0.25 * 2 + 2 * 0.125 * 3)),
    ):
        rows = base * torch.tensor(variances).sqrt()
        assert abs(effective_rank(rows) - expected) < 1e-3
        turned = rows @ torch.linalg.qr(normal(4, 4))[0]
        assert abs(effective_rank(100 * turned + 7) - expected) < 1e-3


def test_a_point_has_no_rank():
    assert effective_rank(torch.ones(10, 3)) == 0.0
    assert effective_rank(torch.ones(10, 1)) == 0.0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e200])
def test_what_is_not_finite_has_no_rank_that_is_a_number(value):
    rows = normal(10, 3)
    rows[4, 1] = value
    assert math.isnan(effective_rank(rows))


def test_a_probe_finds_a_linear_map_and_explains_all():
    embeddings, weight = normal(500, 4), normal(4, 2)
    targets = embeddings @ weight + torch.tensor([3.0, -1.0])
    probe = fit_probe(embeddings, targets, ridge=1e-12)
    torch.testing.assert_close(probe.weight, weight, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(probe(embeddings), targets, rtol=1e-6, atol=1e-6)
    assert r_squared(probe(embeddings), targets) == pytest.approx(1.0)


def test_the_mean_explains_nothing_and_half_the_variance_is_half():
    targets = orthonormal_columns(1000, 2)
    assert abs(r_squared(targets.mean(dim=0).expand_as(targets), targets)) < 1e-12
    both = targets.sum(dim=1, keepdim=True)
    probe = fit_probe(targets[:, :1], both, ridge=0.0)
    assert r_squared(probe(targets[:, :1]), both) == pytest.approx(0.5)


def test_what_hardly_varies_hardly_counts():
    targets = orthonormal_columns(1000, 2) * torch.tensor([1.0, 0.01])
    known = targets * torch.tensor([1.0, 0.0])
    assert r_squared(known, targets) == pytest.approx(1 - 1e-4, abs=1e-5)


def test_a_ridge_shrinks_the_weights():
    embeddings = normal(500, 3)
    targets = embeddings.sum(dim=1, keepdim=True)
    assert (
        fit_probe(embeddings, targets, ridge=1.0).weight.norm()
        < 0.6 * fit_probe(embeddings, targets, ridge=0.0).weight.norm()
    )
