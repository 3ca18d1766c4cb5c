"""Linear maps on top of a frozen encoder: two networks that never met become a dual encoder.

``pareja tune --method head`` writes a folder with ``head.safetensors`` (a matrix and an offset for
each side) and ``pareja.json`` (the base's name and fingerprints, and the logits' terms).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pareja.arrays import unit
from pareja.encoders.adapters import NOTES
from pareja.encoders.bases import ImageEncoderBase, TextEncoderBase
from pareja.encoders.checkpoint import Checkpoint
from pareja.encoders.protocols import Embeddings, Encoder, Fingerprint, Pixels

WEIGHTS = "head.safetensors"

Matrices = Mapping[str, NDArray[np.float32]]
"""``image.weight`` ``(dim, image_dim)``, ``image.bias`` ``(dim,)``, and the same for ``text``."""


@dataclass(eq=False, kw_only=True)
class HeadEncoder(ImageEncoderBase, TextEncoderBase):
    """A `DualEncoder`: the vectors of another encoder, each side mapped into one space.

    Parameters
    ----------
    name
        How the encoder is called.
    base
        What embeds first: a dual encoder or a pair.
    matrices
        The maps. A vector x becomes ``W x + b``, scaled to length 1.
    fingerprint
        The space of its embeddings.
    logit_terms
        Scale and bias of the logits.
    loss
        How the maps were trained.
    """

    name: str
    base: Encoder
    matrices: Matrices = field(repr=False)
    fingerprint: Fingerprint = field(repr=False)
    logit_terms: tuple[float, float]
    loss: Literal["softmax", "sigmoid"] = "softmax"
    kind: Literal["dual"] = "dual"

    @property
    def image_dim(self) -> int:
        """Length of a picture's embedding."""
        return len(self.matrices["image.weight"])

    @property
    def text_dim(self) -> int:
        """Length of a text's embedding."""
        return len(self.matrices["text.weight"])

    @property
    def image_side(self) -> int:
        """The side, in pixels, of the square that the image network sees."""
        return self.base.image_side

    @property
    def image_fingerprint(self) -> Fingerprint:
        """The space that the embeddings of pictures lie in."""
        return self.fingerprint

    @property
    def text_fingerprint(self) -> Fingerprint:
        """The space that the embeddings of texts lie in: the same."""
        return self.fingerprint

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize and crop one RGB picture as the base wants it, ``(side, side, 3)``."""
        return self.base.prepare(image)

    def _embed_pixels(self, pixels: Pixels) -> Embeddings:
        return self._mapped("image", self.base.encode_pixels(pixels))

    def _embed_texts(self, texts: Sequence[str]) -> Embeddings:
        return self._mapped("text", self.base.encode_texts(texts))

    def _mapped(self, side: str, rows: Embeddings) -> Embeddings:
        # In double precision: BLAS may sum a row in another order in another batch.
        weight = self.matrices[f"{side}.weight"].astype(np.float64)
        raw = rows.astype(np.float64) @ weight.T + self.matrices[f"{side}.bias"]
        return unit(raw).astype(np.float32)

    def logits(self, similarity: NDArray[np.floating]) -> NDArray[np.float32]:
        """Scale cosine similarities, ``(n_images, n_texts)``, into the model's logits."""
        scale, bias = (np.float32(term) for term in self.logit_terms)
        return np.asarray(similarity, dtype=np.float32) * scale + bias


def read_head(base: Encoder, checkpoint: Checkpoint) -> HeadEncoder:
    """Return the encoder whose head lies in a folder.

    Parameters
    ----------
    base
        What the head was trained on.
    checkpoint
        The head's folder.

    Raises
    ------
    EncoderError
        If the folder's files do not fit the base or each other.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    notes = checkpoint.optional_json(NOTES)
    wanted, here = notes.get("base", {}).get("fingerprints"), digests(base)
    if wanted != here:
        raise checkpoint.error(
            f"its maps were trained on vectors of {notes.get('base', {}).get('name')} with the "
            f"fingerprints {wanted}, and what is here has {here}. Load the base in that version, "
            "or train anew"
        )
    try:
        matrices = load_file(checkpoint.folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise checkpoint.error(f"{WEIGHTS} cannot be read: {error}") from error
    sizes = {"image": base.image_dim, "text": base.text_dim}
    shapes = {
        f"{side}.{what}": matrices.get(f"{side}.{what}", np.empty(0)).shape
        for side in sizes
        for what in ("weight", "bias")
    }
    dim = shapes["image.bias"]
    if len(dim) != 1 or shapes != {
        name: dim if name.endswith("bias") else (*dim, sizes[name.partition(".")[0]])
        for name in shapes
    }:
        raise checkpoint.error(f"{WEIGHTS} holds maps of other sizes than the base has: {shapes}")
    terms = float(notes.get("logit_scale", 1.0)), float(notes.get("logit_bias", 0.0))
    return HeadEncoder(
        name=checkpoint.name,
        base=base,
        matrices=matrices,
        fingerprint=fingerprint_of(base, checkpoint.revision),
        logit_terms=terms,
        loss=notes.get("loss", "softmax"),
    )


def fingerprint_of(base: Encoder, revision: str) -> Fingerprint:
    """Return the space that maps of some revision make of a base's vectors."""
    image, text = base.image_fingerprint, base.text_fingerprint
    return Fingerprint(
        model=base.name,
        revision=f"{'+'.join(digests(base))}+{revision}",
        preprocessing=image.preprocessing,
        pooling=f"{image.pooling}; {text.pooling}; linear maps",
    )


def digests(base: Encoder) -> list[str]:
    """Return the fingerprints of both spaces of a base, as ``pareja.json`` keeps them."""
    return [base.image_fingerprint.digest, base.text_fingerprint.digest]


def head_notes(
    base: Encoder, name: str, terms: tuple[float, float], loss: str, method: str = "head"
) -> dict[str, Any]:
    """Return what ``pareja.json`` says of a head.

    Parameters
    ----------
    base
        What embeds, with the adapters that were trained in it.
    name
        What loads it without these.
    terms, loss, method
        The logits' scale and bias, and how it was trained.
    """
    return {
        "base": {"name": name, "fingerprints": digests(base)},
        "method": method,
        "loss": loss,
        "logit_scale": terms[0],
        "logit_bias": terms[1],
    }


def write_head(folder: Path, matrices: Matrices) -> None:
    """Write the maps of a head into a folder that exists."""
    from safetensors.numpy import save_file

    kept = {name: np.ascontiguousarray(part, np.float32) for name, part in matrices.items()}
    save_file(kept, folder / WEIGHTS)
