"""What benchmarks run on where no hub is: checkpoints, and photographs of any size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from transformers import CLIPConfig

COMMONS200 = Path(__file__).parents[1] / "data" / "commons200"


def make_checkpoint(folder: Path, config: CLIPConfig | None = None) -> None:
    """Save a CLIP with random weights, a processor, and a tokenizer of single letters.

    Parameters
    ----------
    folder
        Where.
    config
        By default ViT-B/32.
    """
    import torch
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    CLIPModel(config or CLIPConfig()).save_pretrained(folder)
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    vocabulary |= {"<|startoftext|>": 49406, "<|endoftext|>": 49407}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    processor: Any = CLIPProcessor
    processor(CLIPImageProcessorPil(), tokenizer).save_pretrained(folder)


def make_siglip(folder: Path) -> None:
    """Save a SigLIP ViT-B/16 with random weights, and a tokenizer of single letters."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import SiglipConfig, SiglipModel
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    torch.manual_seed(0)
    SiglipModel(SiglipConfig()).save_pretrained(folder)
    pieces = ["<pad>", "</s>", "<unk>", "▁", *(chr(code) for code in range(33, 127))]
    tokenizer = Tokenizer(models.Unigram([(piece, -1.0) for piece in pieces], unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "SiglipTokenizer",
        "model_input_names": ["input_ids"],
        "model_max_length": 64,
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    SiglipImageProcessorPil().save_pretrained(folder)


def make_pictures(folder: Path, size: tuple[int, int], count: int) -> None:
    """Write photographs with other photographs laid on them, so that there is detail at 12 MP."""
    random = np.random.default_rng(0)
    photographs = sorted(
        path for path in COMMONS200.rglob("*") if path.suffix in {".jpg", ".png", ".webp"}
    )
    folder.mkdir()
    width, height = size
    for index in range(count):
        canvas = _open(photographs[index * 3 % len(photographs)]).resize(size)
        for other in random.choice(len(photographs), width * height // 500_000):
            detail = _open(photographs[other])
            place = int(random.integers(width - 320)), int(random.integers(height - 320))
            canvas.paste(detail.resize((2 * detail.width, 2 * detail.height)), place)
        grain = random.normal(0, 3, (height, width, 1))
        pixels = (np.asarray(canvas) + grain).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:03}.jpg", quality=90)


def _open(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB")
