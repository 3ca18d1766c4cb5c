"""The image network of SigLIP 2 NaFlex, for pictures of any shape as `Mosaic` packs them.

transformers' own forward resizes the position embeddings of one picture after the other, with sizes
that only the picture knows, which cannot be converted. Here all are resized at once: the resizing
is linear, so that it is a product with weights of the rows and of the columns.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional

from pareja.encoders.region_network import split

_BITS = 16


def naflex_image_forward(self: Any, pixel_values: torch.Tensor) -> torch.Tensor:
    """Take the place of a model's ``forward``: ``(n, 3, side, side)`` to ``(n, dim)``."""
    vision = self.vision_model
    size = vision.embeddings.patch_size
    patches, rows, cols = unpacked(pixel_values, size)
    hidden = vision.embeddings.patch_embedding(patches) + _positions(
        vision.embeddings.position_embedding.weight, rows, cols, patches.shape[1]
    )
    there = torch.arange(patches.shape[1], device=rows.device) < (rows * cols)[:, None]
    lowest = torch.finfo(hidden.dtype).min
    mask = torch.zeros_like(hidden[:, :, 0]).masked_fill(~there, lowest)[:, None, None]
    count = patches.shape[1]
    hidden = vision.encoder(
        inputs_embeds=hidden, attention_mask=mask.expand(-1, 1, count, count)
    ).last_hidden_state
    head, hidden = vision.head, vision.post_layernorm(hidden)
    # By hand: torch's own module keeps the size of the batch that it was converted with.
    inner, heads = head.attention, head.attention.num_heads
    weights, biases = inner.in_proj_weight.chunk(3), inner.in_proj_bias.chunk(3)
    queries, keys, values = (
        split(functional.linear(given, weight, bias), heads)
        for given, weight, bias in zip((head.probe, hidden, hidden), weights, biases, strict=True)
    )
    queries = queries.expand(keys.shape[0], -1, -1, -1)
    mixed = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    pooled = inner.out_proj(mixed.transpose(1, 2).flatten(2))
    result: torch.Tensor = (pooled + head.mlp(head.layernorm(pooled)))[:, 0]
    return result


def unpacked(mosaic: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the patches, ``(n, cells, size * size * 3)``, and how many rows and columns of them.

    Their number is written in the last row of pixels, a bit in a pixel. What black and white are
    after normalisation, the last column of pixels says.
    """
    black, white = mosaic[:, 0, 1, -1], mosaic[:, 0, 0, -1]
    bits = mosaic[:, 0, -1, : 2 * _BITS] > ((black + white) / 2)[:, None]
    powers = torch.tensor([2**place for place in reversed(range(_BITS))], device=mosaic.device)
    rows, cols = (
        (bits[:, start : start + _BITS] * powers).sum(1).clamp(min=1) for start in (0, _BITS)
    )
    side = (mosaic.shape[-1] - 1) // size
    cells = mosaic[:, :, :-1, :-1].reshape(-1, 3, side, size, side, size)
    return cells.permute(0, 2, 4, 3, 5, 1).reshape(-1, side * side, size * size * 3), rows, cols


def _positions(
    table: torch.Tensor, rows: torch.Tensor, cols: torch.Tensor, count: int
) -> torch.Tensor:
    """Return the position embeddings of each picture's patches, ``(n, count, dim)``.

    ``table`` is that of a square of patches, row by row.
    """
    side = math.isqrt(len(table))
    place = torch.arange(count, device=rows.device)[None]
    # The cells after the last patch are masked, and must be finite.
    row = torch.minimum(torch.div(place, cols[:, None], rounding_mode="floor"), rows[:, None] - 1)
    down, across = _along(row, rows, side), _along(place % cols[:, None], cols, side)
    weights = (down[:, :, :, None] * across[:, :, None, :]).flatten(2)
    return (weights @ table.float()).to(table.dtype)


def _along(place: torch.Tensor, count: torch.Tensor, side: int) -> torch.Tensor:
    """Return the weights of bilinear resizing with antialiasing from `side` to `count`.

    Each place looks at those within one of its own widths, or one of theirs where that is more, by
    a triangle (as torch.nn.functional.interpolate does). ``(n, places, side)``.
    """
    width = (side / count.float())[:, None]
    centre = (place + 0.5) * width
    seen = torch.arange(side, device=place.device) + 0.5
    far = (seen - centre[:, :, None]).abs() / width.clamp(min=1)[:, :, None]
    weights = functional.relu(1 - far)
    return weights / weights.sum(-1, keepdim=True)
