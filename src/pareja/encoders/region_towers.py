"""Where the networks of each library keep their layers, for the shares of patches.

Each function takes the place of a model's ``forward``, and returns ``(n, 1 + rows * cols, dim)``:
the picture's own embedding, not normalised, and then the patches' shares of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch.nn import functional

from pareja.encoders.region_network import (
    Block,
    Heads,
    Pooling,
    class_token_shares,
    pooled_shares,
    split,
)


def clip_regions(self: Any, pixel_values: torch.Tensor) -> torch.Tensor:
    """Run CLIP or MetaCLIP 2 of transformers."""
    vision = self.vision_model
    hidden = vision.pre_layrnorm(vision.embeddings(pixel_values))
    blocks = [_clip_block(layer) for layer in vision.encoder.layers]
    found = torch.cat(class_token_shares(blocks, hidden, vision.post_layernorm), dim=1)
    projected: torch.Tensor = self.visual_projection(found)
    return projected


def siglip_regions(self: Any, pixel_values: torch.Tensor) -> torch.Tensor:
    """Run SigLIP or SigLIP 2 of transformers."""
    vision, head = self.vision_model, self.vision_model.head
    inner = head.attention
    query, key, value = inner.in_proj_weight.chunk(3)
    query_bias, key_bias, _ = inner.in_proj_bias.chunk(3)
    pooling = Pooling(
        split(functional.linear(head.probe, query, query_bias), inner.num_heads),
        (key, key_bias),
        value,
        inner.out_proj.weight,
    )
    blocks = [_clip_block(layer) for layer in vision.encoder.layers]
    normed, shares = pooled_shares(
        blocks, vision.embeddings(pixel_values), vision.post_layernorm, pooling
    )
    return torch.cat([head(normed).unsqueeze(1), shares], dim=1)


def tips_regions(self: Any, pixel_values: torch.Tensor) -> torch.Tensor:
    """Run TIPSv2 of transformers, whose patches are embeddings themselves (Cao et al. 2026).

    They were trained to lie beside the texts. Each is brought to the length of the picture's own.
    """
    vision = self.vision_model
    output = vision(pixel_values=pixel_values)
    pooled = output.pooler_output.unsqueeze(1)
    patches = output.last_hidden_state[:, 1 + vision.config.num_register_tokens :]
    length = torch.linalg.vector_norm(pooled, dim=-1, keepdim=True)
    return torch.cat([pooled, functional.normalize(patches, dim=-1) * length], dim=1)


def aimv2_regions(self: Any, pixel_values: torch.Tensor) -> torch.Tensor:
    """Run AIMv2-lit of transformers."""
    vision, head = self.vision_model, self.vision_model.head
    pooling = Pooling(
        split(head.cls_token, head.num_heads),
        (head.k_proj.weight, head.k_proj.bias),
        head.v_proj.weight,
        head.output_proj.weight,
    )
    blocks = [
        _block(layer.attention, layer.rms_norm1, layer.rms_norm2, layer.ffn)
        for layer in vision.encoder.layers
    ]
    normed, shares = pooled_shares(
        blocks, vision.embeddings(pixel_values), vision.rms_norm, pooling
    )
    projected: torch.Tensor = self.visual_projection(
        torch.cat([head(normed).unsqueeze(1), shares], dim=1)
    )
    return projected


def _clip_block(layer: Any) -> Block:
    return _block(layer.self_attn, layer.layer_norm1, layer.layer_norm2, layer.mlp)


def _block(attention: Any, first: Any, second: Any, perceptron: Any) -> Block:
    """Describe a layer of transformers, which keeps queries, keys and values apart."""

    def heads(hidden: torch.Tensor) -> Heads:
        normed, count = first(hidden), attention.num_heads
        queries, keys, values = (
            split(projection(normed), count)
            for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        return queries, keys, values

    out = attention.out_proj
    return Block(heads, out.weight, out.bias, lambda hidden: perceptron(second(hidden)))


def openclip_regions(visual: Any, pixel_values: torch.Tensor) -> torch.Tensor:
    """Run a vision transformer of ``open_clip`` itself."""
    patches = visual.conv1(pixel_values).flatten(2).transpose(1, 2)
    first = visual.class_embedding.expand(patches.shape[0], 1, -1)
    hidden = visual.ln_pre(torch.cat([first, patches], dim=1) + visual.positional_embedding)
    blocks = [_openclip_block(layer) for layer in visual.transformer.resblocks]
    found = torch.cat(class_token_shares(blocks, hidden, visual.ln_post), dim=1)
    projected: torch.Tensor = found @ visual.proj
    return projected


def _openclip_block(layer: Any) -> Block:
    attention = layer.attn

    def heads(hidden: torch.Tensor) -> Heads:
        projected = functional.linear(
            layer.ln_1(hidden), attention.in_proj_weight, attention.in_proj_bias
        )
        queries, keys, values = (split(p, attention.num_heads) for p in projected.chunk(3, dim=2))
        return queries, keys, values

    # What a layer scale multiplies the attention by.
    scale = getattr(layer.ls_1, "gamma", torch.ones(()))
    out = attention.out_proj
    return Block(
        heads,
        out.weight * scale.reshape(-1, 1),
        out.bias * scale,
        lambda hidden: layer.ls_2(layer.mlp(layer.ln_2(hidden))),
    )


def eva_regions(visual: Any, pixel_values: torch.Tensor) -> torch.Tensor:
    """Run EVA02-CLIP of timm, base or large."""
    rotate = import_module("timm.layers").apply_rot_embed_cat
    trunk = visual.trunk
    hidden, rotation = trunk._pos_embed(trunk.patch_embed(pixel_values))
    hidden = trunk.norm_pre(hidden)

    def rotated(heads: torch.Tensor) -> torch.Tensor:
        # All but the class token, as its place is nowhere.
        turned = rotate(heads[:, :, 1:], rotation)
        return torch.cat([heads[:, :, :1], turned], dim=2)

    def block(layer: Any) -> Block:
        attention = layer.attn

        def heads(hidden: torch.Tensor) -> Heads:
            normed, count = layer.norm1(hidden), attention.num_heads
            queries, keys, values = (
                split(projection(normed), count)
                for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            return rotated(queries), rotated(keys), values

        out = attention.proj
        return Block(
            heads,
            out.weight,
            out.bias,
            lambda hidden: layer.mlp(layer.norm2(hidden)),
            attention.norm,
        )

    blocks = [block(layer) for layer in trunk.blocks]
    pooled, shares = class_token_shares(blocks, hidden, trunk.norm)
    projected = functional.linear(shares, trunk.head.weight)
    return torch.cat([trunk.head(pooled), projected], dim=1)


def fastvit_regions(visual: Any, pixel_values: torch.Tensor) -> torch.Tensor:
    """Run MobileCLIP of timm, whose embedding is a linear map of the mean of its last features."""
    trunk = visual.trunk
    features = trunk.forward_features(pixel_values)
    places = features.flatten(2).transpose(1, 2) / features[0, 0].numel()
    shares = functional.linear(places, trunk.head.fc.weight)
    return torch.cat([trunk.forward_head(features).unsqueeze(1), shares], dim=1)
