"""The contract of all encoders, run by those over tiny networks of every architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from encoder_contract import EncoderContract
from tiny_models import folder

from pareja.encoders import Encoder, load


def tiny(name: str) -> Encoder:
    return cast(Encoder, load(name, device="cpu", precision="float32"))


class TestClipContract(EncoderContract):
    def make(self) -> Encoder:
        return tiny(str(folder("clip")))

    def others(self) -> Sequence[Encoder]:
        return [tiny(str(folder("siglip"))), tiny(str(folder("aimv2")))]


class TestSiglipContract(EncoderContract):
    def make(self) -> Encoder:
        return tiny(str(folder("siglip")))

    def others(self) -> Sequence[Encoder]:
        return [tiny(str(folder("siglip2")))]


class TestSiglip2Contract(EncoderContract):
    def make(self) -> Encoder:
        return tiny(str(folder("siglip2")))


class TestMetaClip2Contract(EncoderContract):
    def make(self) -> Encoder:
        return tiny(str(folder("metaclip2")))


class TestAimv2Contract(EncoderContract):
    def make(self) -> Encoder:
        return tiny(str(folder("aimv2")))


class TestResnetAndSentenceContract(EncoderContract):
    def make(self) -> Encoder:
        return tiny(f"{folder('resnet')}+{folder('sentence')}")

    def others(self) -> Sequence[Encoder]:
        return [tiny(f"{folder('vit')}+{folder('clip')}")]


class TestVitAndSentenceContract(EncoderContract):
    def make(self) -> Encoder:
        return tiny(f"{folder('vit')}+{folder('sentence')}")


class TestDinov2AndSentenceContract(EncoderContract):
    def make(self) -> Encoder:
        return tiny(f"{folder('dinov2')}+{folder('sentence')}")
