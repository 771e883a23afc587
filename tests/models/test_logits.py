from __future__ import annotations

import numpy as np
import pytest
import torch

from sysu30k_bench.models.logits import LogitEmbedding, geometry_factor


def unit(rows: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(rows, dim=1)


@pytest.mark.parametrize(("classes", "width"), [(300, 16), (40, 39), (1000, 64)])
@pytest.mark.parametrize("views", [1, 2])
def test_short_form_has_the_geometry_of_the_logits(classes: int, width: int, views: int) -> None:
    generator = torch.Generator().manual_seed(classes)
    weight = torch.randn(classes, width, generator=generator)
    bias = torch.randn(classes, generator=generator)
    features = torch.rand(views, 20, width, generator=generator)
    logits = sum(feature.double() @ weight.double().T + bias for feature in features)
    summed = features.sum(0)
    short = LogitEmbedding(weight, bias, full=False)(summed, views)
    full = LogitEmbedding(weight, bias, full=True)(summed, views)
    assert torch.allclose(full, logits, rtol=1e-5, atol=1e-5)
    assert short.shape[1] == min(classes, width + 1)
    assert torch.allclose(unit(short) @ unit(short).T, unit(full) @ unit(full).T, atol=1e-12)


def test_dependent_columns_are_factored_too() -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((50, 6))
    weight[:, 5] = weight[:, 0] + weight[:, 1]
    affine = np.concatenate([weight, np.zeros((50, 1))], axis=1)
    factor = geometry_factor(weight, np.zeros(50))
    assert np.allclose(factor.T @ factor, affine.T @ affine, atol=1e-10)


def test_factor_is_upper_triangular_with_a_positive_diagonal() -> None:
    factor = geometry_factor(np.random.default_rng(1).standard_normal((80, 9)), np.ones(80))
    assert np.array_equal(factor, np.triu(factor))
    assert (np.diag(factor) > 0).all()


def test_few_classes_are_stored_as_they_are() -> None:
    weight, bias = torch.randn(3, 10), torch.randn(3)
    assert torch.equal(LogitEmbedding(weight, bias, full=False).matrix, torch.cat([weight, bias[:, None]], 1).double())
