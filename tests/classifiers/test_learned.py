from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from safetensors.numpy import save
from tests.classifiers.few_shot_points import LABELS, SPACE, points

from pareja.classifiers.few_shot import METHODS, Method, learn
from pareja.classifiers.learned import Cache, Classifier, _checksum, load_classifier
from pareja.errors import DatasetError, FingerprintMismatchError, OutputError


def classifier(method: Method = "tip-adapter") -> Classifier:
    sample = points()
    learned = learn(method, sample.images, sample.answers, sample.prior)
    return Classifier(
        labels=LABELS,
        encoder="points",
        fingerprint=SPACE,
        method=method,
        rule=learned.rule,
        words=sample.words if learned.uses_words else None,
        settings=learned.settings,
        n_examples=len(sample.answers),
    )


@pytest.mark.parametrize("method", METHODS)
def test_what_was_saved_is_loaded(tmp_path: Path, method: Method) -> None:
    before = classifier(method)
    path = before.save(tmp_path / "new" / "pets.safetensors")
    after = load_classifier(path, SPACE)
    tests = points(each=5, seed=4).images
    np.testing.assert_array_equal(before.probabilities(tests), after.probabilities(tests))
    assert after.labels == LABELS
    assert (after.encoder, after.method, after.n_examples) == ("points", method, 24)
    assert after.settings == before.settings
    assert after.fingerprint == SPACE


def test_probabilities_are_those_of_learning() -> None:
    sample, tests = points(), points(each=5, seed=4)
    methods: tuple[Method, ...] = ("prototype", "tip-adapter")
    for method in methods:
        learned = learn(method, sample.images, sample.answers, sample.prior)
        prior = (tests.images @ sample.words.T).astype(np.float64)
        np.testing.assert_allclose(
            classifier(method).probabilities(tests.images),
            learned.probabilities(tests.images, prior),
            atol=1e-5,
        )


def test_a_call_gives_what_zero_shot_gives() -> None:
    found = classifier().classified(points(each=3, seed=4).images)
    assert found.labels == LABELS
    assert len(found) == 12
    assert not found.unknown.any()
    assert found.assigned(0)[0] == LABELS[found.best[0]]
    np.testing.assert_allclose(found.certainty, found.probabilities.max(axis=1))


def test_another_space_is_refused(tmp_path: Path) -> None:
    path = classifier().save(tmp_path / "pets.safetensors")
    other = replace(SPACE, revision="2")
    with pytest.raises(FingerprintMismatchError, match="or learn it anew") as refused:
        load_classifier(path, other)
    assert str(SPACE) in str(refused.value)
    assert str(other) in str(refused.value)
    with pytest.raises(FingerprintMismatchError, match="12 numbers"):
        classifier().probabilities(np.zeros((2, 5), np.float32))


def test_an_earlier_file_is_kept_unless_forced(tmp_path: Path) -> None:
    path = classifier("knn").save(tmp_path / "pets.safetensors")
    kept = path.read_bytes()
    with pytest.raises(OutputError, match="`force=True`"):
        classifier().save(path)
    assert path.read_bytes() == kept
    classifier().save(path, force=True)
    assert load_classifier(path).method == "tip-adapter"
    assert [entry.name for entry in tmp_path.iterdir()] == ["pets.safetensors"]


def described(path: Path) -> tuple[dict[str, object], dict[str, np.typing.NDArray[np.float32]]]:
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    written = json.loads(header["__metadata__"]["pareja.classifier"])
    loaded = load_classifier(path)
    assert isinstance(loaded.rule, Cache)
    assert loaded.words is not None
    arrays = {"keys": loaded.rule.keys, "values": loaded.rule.values, "words": loaded.words}
    return written, arrays


def saved(arrays: dict[str, np.typing.NDArray[np.float32]], written: object) -> bytes:
    """A file as somebody may write it who knows how, checksum included."""
    text = json.dumps(written)
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return save(whole, {"pareja.classifier": text, "pareja.sha256": _checksum(text, whole)})


@pytest.mark.parametrize("method", ["tip-adapter", "knn"])
def test_any_flipped_bit_is_noticed(tmp_path: Path, method: Literal["tip-adapter", "knn"]) -> None:
    path = classifier(method).save(tmp_path / "pets.safetensors")
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 100).tolist():
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(DatasetError, match="Learn it anew"):
            load_classifier(path)


def test_a_pipe_in_its_place_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DatasetError, match="it is no regular file"):
        load_classifier(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"labels": ["cat", "dog"]}, "labels"),
        ({"labels": 7}, "not iterable"),
        ({"n_examples": math.inf}, "infinity"),
        ({"rule": {"kind": "cache", "alpha": None, "beta": 1.0}}, "NoneType"),
        ({"rule": []}, "mapping"),
        ({"settings": 5}, "iterable"),
        ({"labels": ["cat", "CAT", "a", "b"]}, "twice"),
        ({"format": 2}, "another version"),
        ({"rule": {"kind": "cache", "alpha": 1.0}}, "beta"),
        ({"rule": {"kind": "tree"}}, "tree"),
        ({"fingerprint": {"model": "x"}}, "missing"),
    ],
)
def test_a_file_that_was_tampered_with_is_one_line(
    tmp_path: Path, change: dict[str, object], says: str
) -> None:
    path = classifier().save(tmp_path / "pets.safetensors")
    written, arrays = described(path)
    path.write_bytes(saved(arrays, {**written, **change}))
    with pytest.raises(DatasetError, match="Learn it anew") as refused:
        load_classifier(path)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_arrays_that_do_not_fit_are_noticed(tmp_path: Path) -> None:
    path = classifier().save(tmp_path / "pets.safetensors")
    written, arrays = described(path)
    for broken in (
        {**arrays, "values": arrays["values"][:5]},
        {**arrays, "words": arrays["words"][:, :3]},
        {**arrays, "keys": np.full_like(arrays["keys"], np.nan)},
        {**arrays, "keys": arrays["keys"].ravel()},
        {"words": arrays["words"]},
        {**arrays, "extra": arrays["keys"]},
    ):
        path.write_bytes(saved(broken, written))
        with pytest.raises(DatasetError, match="Learn it anew"):
            load_classifier(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff" * 100, b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_file_of_another_kind_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="holds no classifier") as refused:
        load_classifier(path)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        load_classifier(tmp_path / "none.safetensors")
    with pytest.raises(DatasetError, match="cannot be read"):
        load_classifier(tmp_path)
