from __future__ import annotations

import numpy as np
import pytest

from pareja.training.scoring import mean_reciprocal_rank

OWN = [np.array([i]) for i in range(3)]


def test_it_is_the_mean_of_the_reciprocal_ranks_of_both_directions() -> None:
    images, texts = np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)[[0, 2, 1]]
    # The first picture finds its text; the other two find each other's, and their own with a tie.
    assert mean_reciprocal_rank(images, texts, OWN, both=False) == pytest.approx(
        (1 + 1 / 3 + 1 / 3) / 3
    )
    assert mean_reciprocal_rank(images, texts, OWN, both=True) == pytest.approx(
        (1 + 1 / 3 + 1 / 3) / 3
    )


@pytest.mark.parametrize("value", [1.0, np.nan])
def test_a_network_that_tells_nothing_apart_scores_worst(value: float) -> None:
    rows = np.full((3, 4), value, np.float32)
    assert mean_reciprocal_rank(rows, rows, OWN, both=True) == pytest.approx(1 / 3)
