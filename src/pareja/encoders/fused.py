"""Encoders that make one vector of a picture and a text together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from pareja.encoders.backends.network import Network
from pareja.encoders.bases import finite, one_or_many
from pareja.encoders.protocols import Embeddings, Pixels
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import InputError

# Pictures have thousands of patches each.
_AT_ONCE = 8


@dataclass(eq=False, kw_only=True)
class NetworkFusedEncoder(NetworkDualEncoder):
    """A `FusedEncoder` over three networks: of pictures, of texts, and of both.

    Parameters
    ----------
    fused_network
        The network of pictures with texts.
    document_prompt
        Put before the text of a picture that is to be found, in the place of the tokeniser's
        prefix, which is that of texts that search.
    """

    fused_network: Network = field(repr=False)
    document_prompt: str = ""

    def encode_fused(
        self,
        images: Image.Image | Sequence[Image.Image],
        texts: str | Sequence[str],
        *,
        query: bool = False,
    ) -> Embeddings:
        """Embed RGB pictures, each with its text: ``(n, image_dim)``, or ``(image_dim,)`` for one.

        Parameters
        ----------
        images, texts
            As many pictures as texts.
        query
            Whether they are searched with, and not searched for.

        Raises
        ------
        InputError
            If something is no picture or no text, or there are more of one than of the other.
        EncoderError
            If the network gives numbers that are not finite.
        """
        listed, one = one_or_many(images, Image.Image, "images", "PIL image")
        words, _ = one_or_many(texts, str, "texts", "text")
        if len(listed) != len(words):
            raise InputError(
                f"texts has {len(words)} for the {len(listed)} of images. Give one for each."
            )
        side = self.image_side
        pixels = np.empty((len(listed), side, side, 3), np.uint8)
        for row, image in enumerate(listed):
            pixels[row] = self.prepare(image)
        result = self.encode_fused_pixels(pixels, words, query=query)
        return result[0] if one else result

    def encode_fused_pixels(
        self, pixels: Pixels, texts: Sequence[str], *, query: bool = False
    ) -> Embeddings:
        """Embed prepared pictures, ``(n, side, side, 3)``, each with its text; ``(n, image_dim)``.

        Raises
        ------
        EncoderError
            If the network gives numbers that are not finite.
        """
        prompt = None if query else self.document_prompt
        result = np.empty((len(texts), self.image_dim), dtype=np.float32)
        for indices, inputs in self.tokeniser.batches(texts, _AT_ONCE, prefix=prompt):
            tower = self._tower(self.fused_network)
            result[indices] = self._shortened(tower(pixels=pixels[indices], **inputs))
        return finite(result, self.name, "picture")

    def _embed_pixels(self, pixels: Pixels) -> Embeddings:
        parts = range(0, len(pixels), _AT_ONCE)
        embed = super()._embed_pixels
        return np.concatenate([embed(pixels[start : start + _AT_ONCE]) for start in parts])
