from __future__ import annotations

import math
from typing import Any

import pytest

from pareja.errors import InputError
from pareja.training.lora import Rank
from pareja.training.schedule import Schedule


@pytest.mark.parametrize(
    ("kind", "name", "value", "said"),
    [
        (Schedule, "learning_rate", math.nan, "`learning_rate` must be a number above 0, got nan"),
        (Schedule, "learning_rate", 0.0, "above 0"),
        (Schedule, "learning_rate", math.inf, "above 0, got inf"),
        (Schedule, "epochs", 0, "`epochs` must be a number from 1 on, got 0"),
        (Schedule, "batch_size", 1, "from 2 on"),
        (Schedule, "chunk", 0, "from 1 on"),
        (Schedule, "keep", -1.0, "from 0 on"),
        (Rank, "rank", 0, "from 1 on"),
        (Rank, "alpha", -2.0, "above 0"),
        (Rank, "blocks", 0, "from 1 on"),
        (Rank, "dropout", 1.0, "`dropout` must be at least 0 and below 1, got 1.0"),
    ],
)
def test_settings_out_of_their_range_are_refused(
    kind: type[Any], name: str, value: float, said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        kind(**{name: value})
    assert caught.value.parameter == name
