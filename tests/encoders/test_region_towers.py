"""Shares of patches in the networks of open_clip and timm, over stand-ins shaped like them."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from openclip_towers import WIDTH, EvaTrunk, VisionTransformer, timm_layers
from tiny_models import folder
from torch import nn

from pareja.encoders.region_towers import (
    clip_regions,
    eva_regions,
    fastvit_regions,
    openclip_regions,
)
from pareja.encoders.weights import quiet_transformers


@pytest.fixture(autouse=True)
def timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm.layers", timm_layers())


def _random(module: Any) -> Any:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.empty_like(parameter).normal_(0, 0.2, generator=generator))
    return module.eval()


def _pixels(side: int = 32) -> torch.Tensor:
    return torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(2))


@torch.inference_mode()
def test_the_same_weights_have_the_same_shares_in_both_libraries() -> None:
    kind: Any = transformers.CLIPModel
    with quiet_transformers():
        clip = kind.from_pretrained(folder("clip")).eval()
    visual = VisionTransformer().eval()
    visual.take(clip)
    found = openclip_regions(visual, _pixels())
    torch.testing.assert_close(found, clip_regions(clip, _pixels()))
    torch.testing.assert_close(found[:, 0], visual(_pixels()))


@torch.inference_mode()
def test_a_scale_of_layers_counts() -> None:
    visual = _random(VisionTransformer(scaled=True))
    found = openclip_regions(visual, _pixels())
    torch.testing.assert_close(found[:, 0], visual(_pixels()))
    for name, parameter in visual.named_parameters():
        if name.endswith("ls_1.gamma"):
            parameter.mul_(1e-3)
    assert openclip_regions(visual, _pixels())[:, 1:].norm() < 0.1 * found[:, 1:].norm()


@torch.inference_mode()
def test_eva_embeds_the_picture_in_the_same_pass() -> None:
    trunk = _random(EvaTrunk(depth=2))
    found = eva_regions(SimpleNamespace(trunk=trunk), _pixels())
    assert found.shape == (3, 17, 24)
    torch.testing.assert_close(found[:, 0], trunk(_pixels()))


@torch.inference_mode()
def test_shares_of_eva_add_up_to_the_embedding() -> None:
    """In one layer, without perceptron and offsets, and with a class token of zeros."""
    trunk = _random(EvaTrunk(depth=1))
    for name, parameter in trunk.named_parameters():
        if ".mlp.2." in name or (name.endswith("bias") and "q_proj" not in name):
            parameter.zero_()
    trunk.cls_token.zero_()
    trunk.pos_embed[:, 0] = 0
    found = eva_regions(SimpleNamespace(trunk=trunk), _pixels())
    torch.testing.assert_close(found[:, 1:].sum(1), found[:, 0], rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_shares_of_a_convolutional_network_add_up_to_all_but_its_offset() -> None:
    class Trunk(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, WIDTH, 8, 8)
            self.head = nn.Module()
            self.head.fc = nn.Linear(WIDTH, 24)

        def forward_features(self, pixels: torch.Tensor) -> torch.Tensor:
            features: torch.Tensor = self.convolution(pixels).relu()
            return features

        def forward_head(self, features: torch.Tensor) -> torch.Tensor:
            last: Any = self.head.fc
            embedded: torch.Tensor = last(features.mean((2, 3)))
            return embedded

    trunk = _random(Trunk())
    found = fastvit_regions(SimpleNamespace(trunk=trunk), _pixels())
    expected = trunk.forward_head(trunk.forward_features(_pixels()))
    torch.testing.assert_close(found[:, 0], expected)
    torch.testing.assert_close(found[:, 1:].sum(1) + trunk.head.fc.bias, expected)
