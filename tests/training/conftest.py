from __future__ import annotations

import pytest

from pareja.datasets import load_dataset
from pareja.encoders import load
from pareja.encoders.towers import NetworkDualEncoder
from pareja.training.scratch import Plan, make_checkpoint

SMALL = Plan(side=24, patch=8, width=32, heads=4, image_blocks=3, text_blocks=2, dim=16)


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> NetworkDualEncoder:
    """Return a tiny CLIP with random weights that knows the words of drawn pictures."""
    folder = tmp_path_factory.mktemp("untrained")
    texts = [record.caption for record in load_dataset("shapes:200")]
    make_checkpoint(folder, SMALL, texts, seed=1)
    encoder = load(folder, device="cpu", precision="float32")
    assert isinstance(encoder, NetworkDualEncoder)
    return encoder
