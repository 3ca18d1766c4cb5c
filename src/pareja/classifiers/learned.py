"""Classifiers that were learned from examples: what they compute, and the files they live in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from pareja.analysis.significance import Floats, chunks
from pareja.classifiers.classification import Classification, Loss
from pareja.classifiers.predictor import Predictor
from pareja.classifiers.prompts import checked_labels
from pareja.encoders import AnyEncoder
from pareja.encoders.protocols import Embeddings, Fingerprint
from pareja.errors import DatasetError, FingerprintMismatchError, MachineError
from pareja.files import atomic_write, open_regular
from pareja.shortages import naming_shortages

Weights = NDArray[np.float32]

_KEY = "pareja.classifier"
_CHECKSUM = "pareja.sha256"
# Wu et al. (2018), section 3.4, and DINO after them.
_TEMPERATURE = 0.07
_NO_VOTES = 1e-6


@dataclass(frozen=True)
class Linear:
    """One direction a label: ``images @ weights.T + bias``.

    Parameters
    ----------
    weights
        ``(k, dim)``.
    bias
        ``(k,)``.
    """

    kind: ClassVar[str] = "linear"
    weights: Weights
    bias: Weights

    def logits(self, images: Embeddings) -> Floats:
        """Return ``(n, k)``."""
        scores: Floats = (images @ self.weights.T + self.bias).astype(np.float64)
        return scores


@dataclass(frozen=True)
class Cache:
    """Examples that answer by resemblance (Zhang et al. 2022, equation 5).

    ``alpha exp(-beta (1 - images @ keys.T)) @ values``; what the words say is added elsewhere.

    Parameters
    ----------
    keys
        Embeddings of the examples, ``(m, dim)``.
    values
        Their labels, one-hot, times what an example counts, ``(m, k)``.
    alpha
        Weight of the examples beside the words, above 0.
    beta
        How fast an example's say falls with its distance, above 0.
    """

    kind: ClassVar[str] = "cache"
    keys: Weights
    values: Weights
    alpha: float
    beta: float

    def logits(self, images: Embeddings) -> Floats:
        """Return ``(n, k)``."""
        return self.alpha * _by_stretch(
            images, self.keys, lambda cosine: np.exp(self.beta * (cosine - 1)) @ self.values
        )


@dataclass(frozen=True)
class Nearest:
    """The nearest examples vote, each with ``exp(cosine / 0.07)`` (Wu et al. 2018, section 3.4).

    Parameters
    ----------
    keys
        Embeddings of the examples, ``(m, dim)``.
    values
        Their labels, one-hot, ``(m, k)``.
    count
        How many vote, at least 1.
    """

    kind: ClassVar[str] = "nearest"
    keys: Weights
    values: Weights
    count: int

    def logits(self, images: Embeddings) -> Floats:
        """Return the logarithms of the shares of the votes, ``(n, k)``."""
        return _by_stretch(images, self.keys, self._vote)

    def _vote(self, cosine: Floats) -> Floats:
        far = np.argsort(-cosine, axis=1, kind="stable")[:, self.count :]
        votes = np.exp((cosine - cosine.max(axis=1, keepdims=True)) / _TEMPERATURE)
        np.put_along_axis(votes, far, 0.0, axis=1)
        ballots = votes @ self.values
        shares: Floats = ballots / ballots.sum(axis=1, keepdims=True)
        return np.log(shares + _NO_VOTES)


Rule = Linear | Cache | Nearest
_RULES: Mapping[str, type[Rule]] = {rule.kind: rule for rule in (Linear, Cache, Nearest)}


@dataclass(frozen=True)
class Classifier(Predictor):
    """Says which of its labels a picture shows, from the picture's embedding.

    Parameters
    ----------
    labels
        What it tells apart, in the order of the columns; a picture has exactly one of them.
    encoder
        The name under which `pareja.encoders.load` finds what embeds its pictures.
    fingerprint
        The space that it reads.
    method
        How it was learned, as ``"tip-adapter"``.
    rule
        What it learned.
    words
        The labels' embeddings times the encoder's logit scale, ``(k, dim)``, where zero-shot
        logits are added to those of the rule; None where they are not.
    settings
        The hyperparameters that were chosen.
    n_examples
        How many pictures it learned from.
    activation
        How its logits become probabilities.
    model
        The encoder of that name where it is loaded; None where it is to be loaded when pictures
        are to be embedded.
    """

    labels: tuple[str, ...]
    encoder: str
    fingerprint: Fingerprint
    method: str
    rule: Rule
    words: Weights | None = None
    settings: Mapping[str, float] = field(default_factory=dict)
    n_examples: int = 0
    activation: Loss = "softmax"
    model: AnyEncoder | None = field(default=None, compare=False, repr=False)

    @property
    def space(self) -> Fingerprint:
        """The space of the pictures that it reads."""
        return self.fingerprint

    @property
    def embedder(self) -> AnyEncoder | str:
        """What embeds pictures for it, or its name."""
        return self.encoder if self.model is None else self.model

    @property
    def dim(self) -> int:
        """Length of the embeddings that it reads."""
        keys = self.rule.weights if isinstance(self.rule, Linear) else self.rule.keys
        return int(keys.shape[1])

    def probabilities(self, images: Embeddings) -> NDArray[np.float32]:
        """Say how probable each label is for each picture.

        Parameters
        ----------
        images
            Embeddings of the pictures in the space of `fingerprint`, ``(n, dim)``.

        Returns
        -------
        ndarray
            ``(n, k)`` in [0, 1]; each row sums to 1 under a softmax.

        Raises
        ------
        FingerprintMismatchError
            If they have another length.
        """
        if images.ndim != 2 or images.shape[1] != self.dim:
            raise FingerprintMismatchError(
                f"embeddings of shape {images.shape} are not those of {self.encoder}, which have "
                f"{self.dim} numbers. Embed the pictures with it."
            )
        logits = self.rule.logits(images)
        if self.words is not None:
            logits = logits + images @ self.words.T
        shares = softmax(logits, axis=1) if self.activation == "softmax" else expit(logits)
        return cast(NDArray[np.float32], shares.astype(np.float32))

    def classified(self, rows: Embeddings) -> Classification:
        """Say what pictures show whose embeddings, ``(n, dim)``, are known to be of `space`.

        Raises
        ------
        FingerprintMismatchError
            If they have another length.
        """
        shares = self.probabilities(rows)
        return Classification(
            labels=self.labels, probabilities=shares, certainty=shares.max(axis=1).astype(float)
        )

    def save(self, path: Path | str, *, force: bool = False) -> Path:
        """Write the classifier to one file, which `load_classifier` reads.

        Parameters
        ----------
        path
            The file (safetensors).
        force
            Replace a file that exists.

        Returns
        -------
        Path
            Absolute path of the file.

        Raises
        ------
        OutputError
            If it cannot be written, or exists and `force` is off.
        """
        return atomic_write(path, serialise(self), force=force)

    def check(self, fingerprint: Fingerprint) -> None:
        """Refuse embeddings of another space.

        Raises
        ------
        FingerprintMismatchError
            If it is not the space that the classifier reads.
        """
        if fingerprint != self.fingerprint:
            raise FingerprintMismatchError(
                f"the classifier reads embeddings of {self.fingerprint}, and these are of "
                f"{fingerprint}. Use it with {self.encoder!r} in the version it was learned "
                "with, or learn it anew."
            )


def serialise(classifier: Classifier) -> bytes:
    """Return the file of a classifier: safetensors, with all that is no array as JSON inside."""
    from safetensors.numpy import save

    arrays: dict[str, Weights] = {}
    if classifier.words is not None:
        arrays["words"] = classifier.words
    numbers: dict[str, float] = {}
    for part in fields(classifier.rule):
        value = getattr(classifier.rule, part.name)
        (arrays if isinstance(value, np.ndarray) else numbers)[part.name] = value
    described = {
        "format": 1,
        "labels": classifier.labels,
        "encoder": classifier.encoder,
        "fingerprint": asdict(classifier.fingerprint),
        "method": classifier.method,
        "rule": {"kind": classifier.rule.kind, **numbers},
        "settings": dict(classifier.settings),
        "n_examples": classifier.n_examples,
        "activation": classifier.activation,
    }
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    text = json.dumps(described, ensure_ascii=False, allow_nan=False)
    return save(contiguous, {_KEY: text, _CHECKSUM: _checksum(text, contiguous)})


def _checksum(described: str, arrays: Mapping[str, Weights]) -> str:
    """Return the SHA-256 of all that a classifier's file says."""
    digest = hashlib.sha256(described.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def load_classifier(path: Path | str, fingerprint: Fingerprint | None = None) -> Classifier:
    """Read a classifier that `Classifier.save` wrote. Nothing in the file is executed.

    Parameters
    ----------
    path
        The file.
    fingerprint
        The space of the embeddings that it is going to read, if that is known.

    Raises
    ------
    DatasetError
        If it cannot be read, is no such file, or is damaged.
    FingerprintMismatchError
        If it reads another space.
    """
    from safetensors import safe_open

    try:
        with naming_shortages(path):
            with open_regular(path):
                pass
            with safe_open(str(path), framework="numpy") as stored:
                metadata = stored.metadata() or {}
                arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  no dict
            if metadata.get(_CHECKSUM) != _checksum(metadata[_KEY], arrays):
                raise ValueError("it is damaged: its checksum is not that of its content")
            classifier = _assembled(json.loads(metadata[_KEY]), arrays)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}.") from error
    except MachineError:
        raise
    except Exception as error:  # whoever made the file may have written anything into it
        raise DatasetError(
            f"{path} holds no classifier that pareja saved: {error}. Learn it anew."
        ) from error
    if fingerprint is not None:
        classifier.check(fingerprint)
    return classifier


def _assembled(described: Mapping[str, Any], arrays: Mapping[str, Weights]) -> Classifier:
    """Put a classifier together again, or raise what Python raises where they do not fit."""
    if described["format"] != 1:
        raise ValueError(f"format {described['format']!r} is of another version of pareja")
    parts: dict[str, Any] = {**described["rule"], **arrays}
    words = parts.pop("words", None)
    rule = _RULES[parts.pop("kind")](**parts)
    classifier = Classifier(
        labels=checked_labels([str(label) for label in described["labels"]]),
        encoder=str(described["encoder"]),
        fingerprint=Fingerprint(**described["fingerprint"]),
        method=str(described["method"]),
        rule=rule,
        words=words,
        settings=dict(described["settings"]),
        n_examples=int(described["n_examples"]),
        activation=described.get("activation", "softmax"),
    )
    probed = classifier.probabilities(np.zeros((1, classifier.dim), np.float32))
    if probed.shape != (1, len(classifier.labels)) or not np.isfinite(probed).all():
        raise ValueError(f"its arrays do not fit its {len(classifier.labels)} labels")
    return classifier


def _by_stretch(images: Embeddings, keys: Weights, answer: Callable[[Floats], Floats]) -> Floats:
    """Answer from the cosines with all keys, as many pictures at a time as fit in the cache."""
    parts = [
        answer((images[part] @ keys.T).astype(np.float64))
        for part in chunks(len(images), len(keys))
    ]
    return np.concatenate(parts) if parts else answer(np.empty((0, len(keys))))
