from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from pareja.classifiers.few_shot import METHODS
from pareja.classifiers.learned import Linear
from pareja.classifiers.zero_shot import zero_shot
from pareja.datasets import Dataset, load_dataset
from pareja.encoders import EncoderPair, Fingerprint, TextEncoder
from pareja.errors import EncoderError, FingerprintMismatchError, LabelError
from pareja.tasks.examples import (
    fit_classifier,
    gather_examples,
    usable_methods,
)
from pareja.tasks.learning import learn

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

SHADES = {"red": (200, 40, 40), "green": (40, 170, 60), "blue": (40, 60, 200)}


@pytest.fixture
def shades(tmp_path: Path) -> Dataset:
    """Six shades of each of three colours, a lone white one, and one that nobody named."""
    generator = np.random.default_rng(0)
    rows = ["file_name,caption,label,category"]

    def add(name: str, rgb: tuple[int, ...], label: str, category: str) -> None:
        colour = tuple(int(v) for v in np.clip(generator.normal(rgb, 25), 0, 255))
        Image.new("RGB", (16, 16), colour).save(tmp_path / f"{name}.png")
        rows.append(f"{name}.png,A wall,{label},{category}")

    for colour, rgb in SHADES.items():
        for n in range(6):
            # One label is written with another case now and then.
            add(f"{colour}{n}", rgb, colour.title() if n == 3 else colour, "painted")
    add("white", (250, 250, 250), "white", "plain")
    add("nobody", (9, 9, 9), "", "plain")
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    return load_dataset(tmp_path)


@dataclass(frozen=True)
class TurnedColours:
    """The colours in another space, without words."""

    inner: ColourEncoder
    name: str = "turned"

    @property
    def image_fingerprint(self) -> Fingerprint:
        return replace(self.inner.image_fingerprint, model="turned")

    def __getattr__(self, name: str) -> object:
        if name in {"encode_texts", "kind"}:
            raise AttributeError(name)
        return getattr(self.inner, name)


def test_labels_with_enough_pictures_take_part(shades: Dataset, colours: ColourEncoder) -> None:
    examples = gather_examples(shades, colours)
    assert examples.labels == ("red", "green", "blue")
    assert examples.shots == (1, 2, 4)
    assert examples.left_out == (("white", 1),)
    assert examples.unlabelled == 1
    assert np.bincount(examples.answers).tolist() == [6, 6, 6]
    assert examples.fingerprint == colours.image_fingerprint
    other = gather_examples(shades, colours, labels=["blue", "red"], shots=[3])
    assert other.labels == ("blue", "red")
    assert other.shots == (3,)
    assert len(other.answers) == 12


def test_zero_shot_logits_rank_as_zero_shot_does(shades: Dataset, colours: ColourEncoder) -> None:
    examples = gather_examples(shades, colours)
    assert examples.prior is not None
    assert examples.words is not None
    shares = zero_shot(examples.labels, colours).classified(examples.images).probabilities
    exponentials = np.exp(examples.prior)
    np.testing.assert_allclose(
        shares, exponentials / exponentials.sum(axis=1, keepdims=True), atol=1e-5
    )
    np.testing.assert_allclose(examples.images @ examples.words.T, examples.prior, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_classifier_tells_the_colours(
    shades: Dataset, colours: ColourEncoder, method: str
) -> None:
    examples = gather_examples(shades, colours)
    (chosen,) = (m for m in METHODS if m == method)
    classifier = fit_classifier(examples, chosen)
    assert classifier.n_examples == 18
    pictures = [Image.new("RGB", (9, 9), rgb) for rgb in SHADES.values()]
    found = classifier.classified(colours.encode_images(pictures))
    assert [found.assigned(i) for i in range(3)] == [("red",), ("green",), ("blue",)]


def test_examples_of_another_encoder(shades: Dataset, colours: ColourEncoder) -> None:
    turned = TurnedColours(colours)
    examples = gather_examples(shades, colours, features=turned)  # type: ignore[arg-type]
    assert examples.encoder == "turned"
    assert examples.prior is not None
    assert examples.words is None
    assert usable_methods(examples) == METHODS
    probe = fit_classifier(examples, "linear-probe")
    assert isinstance(probe.rule, Linear)
    with pytest.raises(FingerprintMismatchError):
        probe.check(colours.image_fingerprint)
    with pytest.raises(EncoderError, match="two embeddings of every picture"):
        fit_classifier(examples, "tip-adapter")


def test_a_pair_has_no_words_for_its_pictures(shades: Dataset, colours: ColourEncoder) -> None:
    examples = gather_examples(shades, EncoderPair("two", colours, colours))
    assert examples.prior is None
    assert usable_methods(examples) == ("knn", "prototype", "linear-probe")
    assert fit_classifier(examples, "prototype").words is None
    for refused in (usable_methods, lambda found, names: fit_classifier(found, names[0])):
        with pytest.raises(EncoderError, match="`features`"):
            refused(examples, ["tip-adapter-f"])


def test_words_alone_see_nothing(shades: Dataset, colours: ColourEncoder) -> None:
    class Words:
        name = "words"

        def encode_texts(self, texts: list[str]) -> object:
            return colours.encode_texts(texts)

    blind: TextEncoder = Words()  # type: ignore[assignment]
    with pytest.raises(EncoderError, match="'words' embeds only texts"):
        gather_examples(shades, blind)


def test_a_label_without_pictures_is_named(shades: Dataset, colours: ColourEncoder) -> None:
    with pytest.raises(LabelError, match="no picture has the label 'zebra'"):
        gather_examples(shades, colours, labels=["red", "zebra"])
    alike = replace(shades, records=tuple(replace(record, label="red") for record in shades))
    with pytest.raises(LabelError, match=r"'red' is the only label, and there must be two") as one:
        gather_examples(alike, colours)
    assert "--unknown" not in str(one.value)
    with pytest.raises(LabelError, match="more shots than pictures: 6 shots"):
        gather_examples(shades, colours, shots=[1, 6])
    with pytest.raises(LabelError, match="twice"):
        gather_examples(shades, colours, labels=["red", "red"])


def test_a_picture_that_does_not_decode_is_left_out(
    shades: Dataset, colours: ColourEncoder
) -> None:
    (Path(shades.location) / "red0.png").write_text("nothing")
    examples = gather_examples(shades, colours)
    assert np.bincount(examples.answers).tolist() == [5, 6, 6]
    assert [Path(name).name for name, _ in examples.skipped] == ["red0.png"]


def test_without_shots_every_label_with_a_picture_takes_part(
    shades: Dataset, colours: ColourEncoder
) -> None:
    examples = gather_examples(shades, colours, shots=())
    assert examples.labels == ("red", "green", "blue", "white")
    assert (examples.shots, examples.left_out, examples.unlabelled) == ((), (), 1)
    assert np.bincount(examples.answers).tolist() == [6, 6, 6, 1]
    (Path(shades.location) / "white.png").write_text("nothing")
    examples = gather_examples(shades, colours, shots=())
    assert examples.labels == ("red", "green", "blue")
    assert examples.left_out == (("white", 0),)
    two = tuple(r for r in shades if r.file_name in {"red0.png", "white.png"})
    with pytest.raises(LabelError, match="of these examples 'red' has pictures that can be read"):
        gather_examples(replace(shades, records=two), colours, shots=())


def test_what_is_learned_from_examples_tells_every_label(
    shades: Dataset, colours: ColourEncoder
) -> None:
    learned = learn(shades, model=colours)
    assert (learned.method, learned.n_examples) == ("tip-adapter", 19)
    assert learned.words is not None
    names = ("red", "green", "blue", "white")
    pictures = [Image.new("RGB", (9, 9), rgb) for rgb in (*SHADES.values(), (255, 255, 255))]
    found = learned.classified(colours.encode_images(pictures))
    assert tuple(found.assigned(i)[0] for i in range(4)) == learned.labels == names


def test_without_words_or_labels_a_probe_learns_categories(
    shades: Dataset, colours: ColourEncoder
) -> None:
    unlabelled = replace(shades, records=tuple(replace(record, label=None) for record in shades))
    learned = learn(unlabelled, model=EncoderPair("two", colours, colours))
    assert (learned.method, learned.words) == ("linear-probe", None)
    assert (learned.labels, learned.n_examples) == (("painted", "plain"), 20)
