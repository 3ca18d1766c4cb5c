"""Detectors of a few thousand random weights, in the layout of real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers

_TOWER = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}


def _save(model: Any, path: Path) -> None:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.empty_like(parameter).normal_(0, 0.2, generator=generator)
            # Torch drew all but norms and scales, and differently after other tests.
            if parameter.dim() and "norm" not in name:
                parameter.zero_()
            parameter.add_(noise)
    model.save_pretrained(path)


def _clip_text(path: Path, length: int) -> dict[str, int]:
    """Write a tokenizer of single letters, and describe a text network that reads its tokens."""
    letters = [chr(code) for code in range(33, 127)]
    pieces = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>"]
    pieces.append("<|endoftext|>")
    vocab = {piece: number for number, piece in enumerate(pieces)}
    kind_of: Any = transformers.CLIPTokenizer
    tokenizer = kind_of(vocab=vocab, merges=[], model_max_length=length)
    tokenizer.pad_token = pieces[0]
    tokenizer.save_pretrained(path)
    text = _TOWER | {"vocab_size": len(pieces), "max_position_embeddings": length}
    text |= {"bos_token_id": len(pieces) - 2, "eos_token_id": len(pieces) - 1}
    return text | {"pad_token_id": 0}


def owl(path: Path, version: str) -> Path:
    """Write an OWL-ViT (``"owlvit"``) or OWLv2 (``"owlv2"``)."""
    path.mkdir()
    text = _clip_text(path, 16)
    vision = _TOWER | {"image_size": 32, "patch_size": 8}
    kind = "OwlViT" if version == "owlvit" else "Owlv2"
    config = getattr(transformers, f"{kind}Config")(
        text_config=text, vision_config=vision, projection_dim=16
    )
    _save(getattr(transformers, f"{kind}ForObjectDetection")(config), path)
    processor = {
        "image_processor_type": f"{kind}ImageProcessor",
        "processor_class": f"{kind}Processor",
        "size": {"height": 32, "width": 32},
        "crop_size": {"height": 32, "width": 32},
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    (path / "preprocessor_config.json").write_text(json.dumps(processor))
    return path


def _swin(side: int) -> Any:
    swin: Any = transformers.SwinConfig
    return swin(
        image_size=side,
        patch_size=4,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=2,
        out_features=["stage2", "stage3", "stage4"],
    )


def omdet(path: Path) -> Path:
    """Write an OMDet-Turbo whose picture network is transformers' own."""
    path.mkdir()
    text: Any = transformers.CLIPTextConfig
    config = transformers.OmDetTurboConfig(
        text_config=text(projection_dim=16, **_clip_text(path, 77)),
        backbone_config=_swin(64),
        # Written for timm, which puts channels last.
        apply_layernorm_after_vision_backbone=False,
        image_size=64,
        text_projection_in_dim=16,
        text_projection_out_dim=16,
        task_encoder_hidden_dim=24,
        class_embed_dim=16,
        num_queries=12,
        encoder_hidden_dim=32,
        decoder_hidden_dim=32,
        vision_features_channels=[32, 32, 32],
        encoder_in_channels=[16, 32, 64],
        encoder_attention_heads=2,
        decoder_num_heads=2,
        encoder_dim_feedforward=16,
        decoder_num_layers=2,
        decoder_dim_feedforward=16,
        disable_custom_kernels=True,
    )
    _save(transformers.OmDetTurboForObjectDetection(config), path)
    processor = {
        "image_processor_type": "DetrImageProcessor",
        "processor_class": "OmDetTurboProcessor",
        "size": {"height": 64, "width": 64},
    }
    (path / "preprocessor_config.json").write_text(json.dumps(processor))
    return path


def grounding(path: Path, version: str) -> Path:
    """Write a Grounding DINO (``"GroundingDino"``) or MM-Grounding-DINO (``"MMGroundingDino"``)."""
    path.mkdir()
    letters = [chr(code) for code in range(97, 123)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", *letters]
    pieces += [f"##{letter}" for letter in letters]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    tokenizer: Any = transformers.BertTokenizer
    tokenizer(vocab=vocab, model_max_length=64).save_pretrained(path)
    text = transformers.BertConfig(
        vocab_size=len(pieces),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
        pad_token_id=0,
    )
    config = getattr(transformers, f"{version}Config")(
        backbone_config=_swin(32),
        text_config=text,
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_queries=12,
        max_text_len=64,
        disable_custom_kernels=True,
    )
    _save(getattr(transformers, f"{version}ForObjectDetection")(config), path)
    processor = {
        "image_processor_type": "GroundingDinoImageProcessor",
        "processor_class": "GroundingDinoProcessor",
        "size": {"shortest_edge": 64, "longest_edge": 128},
    }
    (path / "preprocessor_config.json").write_text(json.dumps(processor))
    return path
