from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_models import TEXTS, folder, pictures

import pareja
from pareja.datasets import load_dataset
from pareja.embedding.cache import EmbeddingCache
from pareja.encoders.backends.network import Network
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import EncoderError
from pareja.tasks.tuning import tune
from pareja.training.projection import Projections
from pareja.training.schedule import Schedule


def loaded(kind: str) -> NetworkDualEncoder:
    found = pareja.load(folder(kind), device="cpu", precision="float32")
    assert isinstance(found, NetworkDualEncoder)
    return found


@pytest.mark.parametrize("kind", ["clip", "metaclip2", "aimv2"])
def test_matrices_over_vectors_of_length_one_begin_as_the_base(kind: str) -> None:
    base = loaded(kind)
    projections = Projections(base)
    still = projections.before
    assert still.image_fingerprint != base.image_fingerprint
    images, texts = still.encode_images(pictures()), still.encode_texts(TEXTS)
    made = projections.over(images, texts, loss="softmax", towers="image")
    rows = np.arange(5)
    np.testing.assert_allclose(
        made.image.embed_all(rows), base.encode_images(pictures()), atol=1e-5
    )
    np.testing.assert_allclose(made.text.embed_all(rows), base.encode_texts(TEXTS), atol=1e-5)
    assert made.image.trained()
    assert not made.text.trained()
    with pytest.raises(EncoderError, match="has no visual_projection"):
        Projections(loaded("siglip"))


def test_pictures_are_embedded_once_for_every_training_of_projections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_dataset("shapes:20")
    stages: list[str] = []

    def train() -> None:
        tune(
            loaded("clip"),
            data,
            method="projection",
            keep=False,
            folds=0,
            schedule=Schedule(epochs=1),
            resamples=20,
            cache=memory,
            progress=lambda what, done, of, loss: stages.append(what),
        )

    with EmbeddingCache(tmp_path / "cache") as memory:
        train()
        assert stages[0] == "pictures"
        prepared: list[Network] = []
        whole = NetworkDualEncoder._tower

        def watched(self: NetworkDualEncoder, network: Network) -> object:
            if network.key.endswith("not-projected"):
                prepared.append(network)
            return whole(self, network)

        monkeypatch.setattr(NetworkDualEncoder, "_tower", watched)
        train()
    assert not prepared
