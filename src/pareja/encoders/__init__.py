"""Encoders: what turns pictures and texts into embeddings, and the catalogue of them."""

from pareja.encoders.catalogue import ModelCard, list_models
from pareja.encoders.loading import (
    load,
    require_both,
    require_dual,
    require_images,
    require_texts,
)
from pareja.encoders.protocols import (
    AnyEncoder,
    DualEncoder,
    Embeddings,
    Encoder,
    EncoderPair,
    Fingerprint,
    ImageEncoder,
    Pixels,
    TextEncoder,
)
from pareja.encoders.recommending import recommend_models

__all__ = [
    "AnyEncoder",
    "DualEncoder",
    "Embeddings",
    "Encoder",
    "EncoderPair",
    "Fingerprint",
    "ImageEncoder",
    "ModelCard",
    "Pixels",
    "TextEncoder",
    "list_models",
    "load",
    "recommend_models",
    "require_both",
    "require_dual",
    "require_images",
    "require_texts",
]
