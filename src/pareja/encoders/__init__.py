"""Encoders: what turns pictures and texts into embeddings, and the catalogue of them."""

from pareja.encoders.catalogue import ModelCard, list_models, load, load_dual, load_encoder
from pareja.encoders.protocols import (
    DualEncoder,
    Embeddings,
    Encoder,
    EncoderPair,
    Fingerprint,
    ImageEncoder,
    Pixels,
    TextEncoder,
)

__all__ = [
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
    "load_dual",
    "load_encoder",
]
