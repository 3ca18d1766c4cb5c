from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as functional

from pareja.training.losses import Loss, contrastive


def rows(seed: int, n: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(n, 8, generator=generator), dim=-1)


def loss_of(loss: Loss, same: torch.Tensor, scale: float = 7.0, bias: float = -2.0) -> float:
    return float(
        contrastive(
            rows(0),
            rows(1),
            loss=loss,
            scale=torch.tensor(scale),
            bias=torch.tensor(bias),
            same=same,
        )
    )


def test_the_softmax_loss_is_the_mean_cross_entropy_of_both_directions() -> None:
    logits = (7.0 * rows(0) @ rows(1).T - 2.0).numpy().astype(np.float64)
    by_row = np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)
    by_column = np.log(np.exp(logits).sum(axis=0)) - np.diag(logits)
    expected = (by_row.mean() + by_column.mean()) / 2
    assert loss_of("softmax", torch.eye(5, dtype=torch.bool)) == pytest.approx(expected, rel=1e-5)


def test_the_sigmoid_loss_is_the_sum_of_logistic_losses_over_n() -> None:
    logits = (7.0 * rows(0) @ rows(1).T - 2.0).numpy().astype(np.float64)
    signs = 2 * np.eye(5) - 1
    expected = np.log1p(np.exp(-signs * logits)).sum() / 5
    assert loss_of("sigmoid", torch.eye(5, dtype=torch.bool)) == pytest.approx(expected, rel=1e-5)


def test_equal_texts_are_no_negatives() -> None:
    same = torch.eye(5, dtype=torch.bool)
    same[0, 1] = same[1, 0] = True
    logits = (7.0 * rows(0) @ rows(1).T - 2.0).numpy().astype(np.float64)
    logits[0, 1] = logits[1, 0] = -math.inf
    by_row = np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)
    by_column = np.log(np.exp(logits).sum(axis=0)) - np.diag(logits)
    expected = (by_row.mean() + by_column.mean()) / 2
    assert loss_of("softmax", same) == pytest.approx(expected, rel=1e-5)
    signs = np.where(same.numpy(), 1, -1)
    logits = (7.0 * rows(0) @ rows(1).T - 2.0).numpy().astype(np.float64)
    assert loss_of("sigmoid", same) == pytest.approx(
        np.log1p(np.exp(-signs * logits)).sum() / 5, rel=1e-5
    )


def test_the_bias_matters_to_the_sigmoid_alone() -> None:
    own = torch.eye(5, dtype=torch.bool)
    assert loss_of("softmax", own, bias=3.0) == pytest.approx(loss_of("softmax", own), rel=1e-5)
    assert loss_of("sigmoid", own, bias=3.0) != pytest.approx(loss_of("sigmoid", own), rel=0.1)
