"""What each place of a picture adds to the picture's own embedding, in one forward pass.

An embedding of a vision transformer is a sum over the patches that its pooling token looked at
(Gandelsman et al. 2024, "Interpreting CLIP's Image Representation via Text-Based Decomposition",
section 3). With attention weights and layer norms held at what they are for this picture, the way
from a patch to the embedding is linear, so that each patch has a share, in the space of the texts.

CLIP pools by a class token, which looks at the patches in every layer: all of these looks are
added up. SigLIP pools once, after the last layer, when the patches have long mixed: what it looks
at is led back by one step to the patches that it came from. What only the multi-layer perceptrons
and offsets add has no place, and is in no share.

Each function takes the place of a model's ``forward``, and returns ``(n, 1 + rows * cols, dim)``:
the picture's own embedding, not normalised, and then the patches' shares of it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

Heads = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Queries, keys and values of a layer, ``(n, heads, t, dim / heads)`` each."""


def clip_regions(self: Any, pixel_values: torch.Tensor) -> torch.Tensor:
    """Run CLIP or MetaCLIP 2, and add up what the class token takes from each patch."""
    vision = self.vision_model
    hidden = vision.pre_layrnorm(vision.embeddings(pixel_values))
    taken = torch.zeros_like(hidden)
    for layer in vision.encoder.layers:
        hidden, (queries, keys, values) = _through(layer, hidden)
        # Of the class token alone, the first: how much it takes of each token, (n, heads, 1, t).
        weights = _weights(queries[:, :, :1], keys)
        looked = (weights.transpose(2, 3) * values).transpose(1, 2).flatten(2)
        taken = taken + functional.linear(looked, layer.self_attn.out_proj.weight)
    pooled = hidden[:, :1]
    shares = _scaled(taken[:, 1:], vision.post_layernorm, _deviation(pooled, vision.post_layernorm))
    own = vision.post_layernorm(pooled)
    projected: torch.Tensor = self.visual_projection(torch.cat([own, shares], dim=1))
    return projected


def siglip_regions(self: Any, pixel_values: torch.Tensor) -> torch.Tensor:
    """Run SigLIP, and lead what its pooling head looks at back to the patches it came from."""
    vision = self.vision_model
    hidden = embedded = vision.embeddings(pixel_values)
    steps = []
    for layer in vision.encoder.layers:
        # Not the attention weights: all layers' at once would take gigabytes.
        hidden, heads = _through(layer, hidden)
        steps.append(heads)
    norm, head = vision.post_layernorm, vision.head
    pooling = head.attention
    count = pooling.num_heads
    query_weight, key_weight, value_weight = pooling.in_proj_weight.chunk(3)
    query_bias, key_bias, _ = pooling.in_proj_bias.chunk(3)
    queries = _split(functional.linear(head.probe, query_weight, query_bias), count)
    keys = _split(functional.linear(norm(hidden), key_weight, key_bias), count)
    # How much each head takes of each token, with the layer norm's division: (n, heads, t).
    looks = _weights(queries, keys)[:, :, 0] / _deviation(hidden, norm).transpose(1, 2)
    # The embedded patches themselves went through every layer unchanged, in the residual.
    direct = functional.linear(_scaled(embedded, norm), value_weight)
    shares = looks.transpose(1, 2).unsqueeze(3) * direct.view(*direct.shape[:2], count, -1)
    for (queries, keys, values), layer in zip(steps, vision.encoder.layers, strict=True):
        # From a head of the layer to the values of the pooling, by way of the last layer norm.
        out = layer.self_attn.out_proj.weight
        into = value_weight @ ((out - out.mean(0)) * norm.weight[:, None])
        for number, columns in enumerate(into.chunk(values.shape[1], dim=1)):
            one = slice(number, number + 1)
            # What the pooling takes of a patch by way of all tokens that looked at it.
            via = (looks @ _weights(queries[:, one], keys[:, one])[:, 0]).transpose(1, 2)
            moved = functional.linear(values[:, number], columns)
            shares = shares + via.unsqueeze(3) * moved.view(*direct.shape[:2], count, -1)
    projected = functional.linear(shares.flatten(2), pooling.out_proj.weight)
    return torch.cat([head(norm(hidden)).unsqueeze(1), projected], dim=1)


def _split(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """Bring ``(n, t, dim)`` to ``(n, heads, t, dim / heads)``."""
    return tensor.view(*tensor.shape[:2], heads, -1).transpose(1, 2)


def _through(layer: Any, hidden: torch.Tensor) -> tuple[torch.Tensor, Heads]:
    """Run a layer, and return what it gives with its queries, keys and values.

    A layer of transformers keeps these to itself, and computing them again would take a quarter of
    the time of the layer.
    """
    attention, normed = layer.self_attn, layer.layer_norm1(hidden)
    queries, keys, values = (
        _split(projection(normed), attention.num_heads)
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    mixed = functional.scaled_dot_product_attention(queries, keys, values)
    hidden = hidden + attention.out_proj(mixed.transpose(1, 2).flatten(2))
    return hidden + layer.mlp(layer.layer_norm2(hidden)), (queries, keys, values)


def _weights(queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    return torch.softmax(queries @ keys.transpose(2, 3) * queries.shape[-1] ** -0.5, dim=-1)


def _deviation(hidden: torch.Tensor, norm: Any) -> torch.Tensor:
    """Return what a layer norm divides by, ``(n, t, 1)``."""
    variance: torch.Tensor = hidden.var(-1, unbiased=False, keepdim=True) + norm.eps
    return variance.sqrt()


def _scaled(part: torch.Tensor, norm: Any, deviation: torch.Tensor | float = 1.0) -> torch.Tensor:
    """Put a part of a sum through a layer norm whose divisor is that of the whole sum."""
    centred: torch.Tensor = (part - part.mean(-1, keepdim=True)) / deviation * norm.weight
    return centred
