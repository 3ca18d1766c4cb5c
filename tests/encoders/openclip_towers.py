"""Picture networks shaped like those of open_clip and timm, with a few thousand weights.

Their parts have the names that the libraries give them, and their forward methods are the plain
ones, without shares.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn import functional

WIDTH, HEADS, SIDE, PATCH = 32, 4, 32, 8
PATCHES = (SIDE // PATCH) ** 2


class Scale(nn.Module):
    """A layer scale."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gamma


class QuickGELU(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(1.702 * x)


class ResidualBlock(nn.Module):
    """A layer of open_clip's own vision transformer."""

    def __init__(self, scaled: bool) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.ls_1, self.ls_2 = (Scale() if scaled else nn.Identity() for _ in range(2))
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 48), QuickGELU(), nn.Linear(48, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = self.ln_1(x)
        x = x + self.ls_1(self.attn(normed, normed, normed, need_weights=False)[0])
        perceived: torch.Tensor = x + self.ls_2(self.mlp(self.ln_2(x)))
        return perceived


class VisionTransformer(nn.Module):
    """open_clip's own vision transformer, which pools its class token."""

    def __init__(self, scaled: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTH, PATCH, PATCH, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(WIDTH))
        self.positional_embedding = nn.Parameter(torch.zeros(1 + PATCHES, WIDTH))
        self.ln_pre, self.ln_post = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.transformer: Any = nn.Module()
        self.transformer.resblocks = nn.ModuleList(ResidualBlock(scaled) for _ in range(2))
        self.proj = nn.Parameter(torch.zeros(WIDTH, 24))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        patches = self.conv1(pixels).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(patches), 1, -1)
        x = self.ln_pre(torch.cat([first, patches], dim=1) + self.positional_embedding)
        for block in self.transformer.resblocks:
            x = block(x)
        pooled: torch.Tensor = self.ln_post(x[:, 0]) @ self.proj
        return pooled

    def take(self, clip: Any) -> None:
        """Take the weights of transformers' CLIP."""
        vision = clip.vision_model
        with torch.no_grad():
            self.conv1.weight.copy_(vision.embeddings.patch_embedding.weight)
            self.class_embedding.copy_(vision.embeddings.class_embedding)
            self.positional_embedding.copy_(vision.embeddings.position_embedding.weight)
            self.ln_pre.load_state_dict(vision.pre_layrnorm.state_dict())
            self.ln_post.load_state_dict(vision.post_layernorm.state_dict())
            self.proj.copy_(clip.visual_projection.weight.T)
            layers = zip(self.transformer.resblocks, vision.encoder.layers, strict=True)
            for block, layer in layers:
                block.ln_1.load_state_dict(layer.layer_norm1.state_dict())
                block.ln_2.load_state_dict(layer.layer_norm2.state_dict())
                theirs = layer.self_attn
                parts = [theirs.q_proj, theirs.k_proj, theirs.v_proj]
                block.attn.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
                block.attn.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
                block.attn.out_proj.load_state_dict(theirs.out_proj.state_dict())
                block.mlp[0].load_state_dict(layer.mlp.fc1.state_dict())
                block.mlp[2].load_state_dict(layer.mlp.fc2.state_dict())


def _turned(x: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
    """Do what timm's ``apply_rot_embed_cat`` does: turn pairs of numbers by angles."""
    sines, cosines = rotation.chunk(2, -1)
    pairs = torch.stack([-x[..., 1::2], x[..., ::2]], -1).reshape(x.shape)
    return x * cosines + pairs * sines


def timm_layers() -> ModuleType:
    """Make a stand-in for ``timm.layers``."""
    module = ModuleType("timm.layers")
    vars(module)["apply_rot_embed_cat"] = _turned
    return module


class EvaAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.num_heads = HEADS
        self.q_proj, self.v_proj = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.k_proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.norm, self.proj = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
        queries, keys, values = (
            part(x).unflatten(2, (HEADS, -1)).transpose(1, 2)
            for part in (self.q_proj, self.k_proj, self.v_proj)
        )
        queries, keys = (
            torch.cat([part[:, :, :1], _turned(part[:, :, 1:], rotation)], 2)
            for part in (queries, keys)
        )
        mixed = functional.scaled_dot_product_attention(queries, keys, values)
        turned: torch.Tensor = self.proj(self.norm(mixed.transpose(1, 2).flatten(2)))
        return turned


class EvaBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn = EvaAttention()
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 48), nn.SiLU(), nn.Linear(48, WIDTH))

    def forward(self, x: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x), rotation)
        perceived: torch.Tensor = x + self.mlp(self.norm2(x))
        return perceived


class PatchEmbed(nn.Conv2d):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return super().forward(pixels).flatten(2).transpose(1, 2)


class EvaTrunk(nn.Module):
    """EVA02-CLIP of timm: turned queries and keys, and a norm inside of the attention."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(3, WIDTH, PATCH, PATCH)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + PATCHES, WIDTH))
        angles = torch.arange(PATCHES)[:, None] / (1 + torch.arange(WIDTH // HEADS // 2))
        turns = [angles.sin(), angles.cos()]
        self.register_buffer("angles", torch.cat([t.repeat_interleave(2, 1) for t in turns], 1))
        self.norm_pre, self.norm = nn.Identity(), nn.LayerNorm(WIDTH)
        self.blocks = nn.ModuleList(EvaBlock() for _ in range(depth))
        self.head = nn.Linear(WIDTH, 24)

    def _pos_embed(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.pos_embed
        return x, self.get_buffer("angles")

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x, rotation = self._pos_embed(self.patch_embed(pixels))
        for block in self.blocks:
            x = block(x, rotation)
        pooled: torch.Tensor = self.head(self.norm(x)[:, 0])
        return pooled
