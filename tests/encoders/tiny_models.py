"""Tiny checkpoints of every supported architecture: real files, random weights."""

from __future__ import annotations

import atexit
import json
import math
import shutil
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers.convert_slow_tokenizer import bytes_to_unicode

DUAL = ("clip", "siglip", "siglip2", "metaclip2", "aimv2")
IMAGE = ("resnet", "vit", "dinov2")
# transformers has the processors of these for torchvision alone; the classes named here resize with
# Pillow, and do the same with the same settings.
BY_TORCHVISION = {"tipsv2": "Siglip", "dinov3": "ViT"}

TEXTS = (
    "a photo of a cat",
    "",
    "A Photo of a DOG!",
    "¿Qué es esto? Ünïcödé 日本語 🐈",
    "the cat, the dog; and the cat again",
)
LONG = "the cat and the dog and " * 30

_ROOT = Path(tempfile.mkdtemp(prefix="pareja-tiny-"))
atexit.register(shutil.rmtree, _ROOT, ignore_errors=True)

LENGTH = 100
"""Tokens that the text networks read."""

_TOWER: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
_VISION = _TOWER | {"image_size": 32, "patch_size": 8}
_MEAN, _STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


_SIGLIP_SPECIAL = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
_UNKNOWN = {"unk_token": "[UNK]"}


def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(7)
    sizes = [(64, 48), (33, 90), (32, 32), (200, 50), (20, 15)]
    return [
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for width, height in sizes
    ]


@cache
def folder(kind: str) -> Path:
    """Build the checkpoint once a session and return where it is; nobody may change it."""
    path = _ROOT / kind
    _BUILDERS[kind](path)
    return path


def altered(kind: str, path: Path) -> Path:
    """Return a copy of a checkpoint that the test may change."""
    shutil.copytree(folder(kind), path)
    return path


def write_json(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file, leaving out those that are None."""
    content = json.loads(path.read_text()) if path.exists() else {}
    content |= changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def write_image_settings(path: Path, **changes: Any) -> None:
    """Change settings of a folder's image processor, wherever they are kept."""
    file = path / "processor_config.json"
    if not file.exists():
        write_json(path / "preprocessor_config.json", **changes)
        return
    nested = json.loads(file.read_text())["image_processor"]
    write_json(file, image_processor=nested | changes)


def save_random(model: Any, path: Path, seed: int = 3) -> None:
    """Give the model weights large enough that everything matters, and save it.

    A path of a file takes the weights alone.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name == "logit_scale":
                parameter.fill_(math.log(20.0))
            elif name == "logit_bias":
                parameter.fill_(-3.5)
            elif parameter.dim() > 1:
                parameter.normal_(0, 0.2, generator=generator)
            else:
                parameter.add_(torch.empty_like(parameter).normal_(0, 0.1, generator=generator))
    if path.suffix:
        save_file(model.state_dict(), path)
    else:
        model.save_pretrained(path)


def _clip_tokenizer(path: Path) -> int:
    alphabet: Any = bytes_to_unicode
    characters = list(alphabet().values())
    pieces = [*characters, *(c + "</w>" for c in characters), "th", "the</w>"]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    merges = [("t", "h"), ("th", "e</w>")]
    tokenizer: Any = transformers.CLIPTokenizer
    tokenizer(
        vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges, model_max_length=LENGTH
    ).save_pretrained(path)
    return len(pieces)


def _clip_processor(path: Path, side: int = 32, **changes: Any) -> None:
    config = {
        "image_processor_type": "CLIPImageProcessor",
        "do_center_crop": True,
        "size": {"shortest_edge": side},
        "crop_size": {"height": side, "width": side},
        "resample": 3,
        "image_mean": _MEAN,
        "image_std": _STD,
    }
    (path / "preprocessor_config.json").write_text(json.dumps(config | changes))


def _clip(path: Path) -> None:
    size = _clip_tokenizer(path)
    text = _TOWER | {"vocab_size": size, "max_position_embeddings": LENGTH}
    text |= {"bos_token_id": size - 2, "eos_token_id": size - 1, "pad_token_id": size - 1}
    config = transformers.CLIPConfig(text_config=text, vision_config=_VISION, projection_dim=24)
    save_random(transformers.CLIPModel(config), path)
    _clip_processor(path)


def _aimv2(path: Path) -> None:
    size = _clip_tokenizer(path)
    text = _TOWER | {
        "vocab_size": size,
        "max_position_embeddings": LENGTH,
        "eos_token_id": size - 1,
    }
    config = transformers.Aimv2Config(text_config=text, vision_config=_VISION, projection_dim=24)
    save_random(transformers.Aimv2Model(config), path)
    _clip_processor(path)


def _metaclip2(path: Path) -> None:
    letters = [chr(code) for code in range(33, 127)]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁the", "▁a", *letters, "<mask>"]
    vocab = [(piece, 0.0 if i < 4 else -float(len(piece) ** 0.5)) for i, piece in enumerate(pieces)]
    transformers.XLMRobertaTokenizer(vocab=vocab, model_max_length=LENGTH).save_pretrained(path)
    text = _TOWER | {"vocab_size": len(pieces), "max_position_embeddings": LENGTH}
    text |= {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    config = transformers.MetaClip2Config(
        text_config=text, vision_config=_VISION, projection_dim=24
    )
    save_random(transformers.MetaClip2Model(config), path)
    _clip_processor(path)


def _metaclip2_mt5(path: Path) -> None:
    letters = [chr(code) for code in range(33, 127)]
    pieces = ["<pad>", "</s>", "<unk>", "▁", "▁the", "▁a", *letters]
    vocab = [(piece, 0.0 if i < 3 else -float(len(piece) ** 0.5)) for i, piece in enumerate(pieces)]
    make: Any = transformers.T5Tokenizer
    make(vocab=vocab, extra_ids=0, model_max_length=LENGTH).save_pretrained(path)
    text = _TOWER | {"vocab_size": len(pieces), "max_position_embeddings": LENGTH}
    text |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}
    config = transformers.MetaClip2Config(
        text_config=text, vision_config=_VISION, projection_dim=24
    )
    save_random(transformers.MetaClip2Model(config), path)
    _clip_processor(path)


def _siglip_model(path: Path, size: int) -> None:
    text = _TOWER | {"vocab_size": size, "max_position_embeddings": LENGTH}
    text |= {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
    config = transformers.SiglipConfig(text_config=text, vision_config=_VISION)
    save_random(transformers.SiglipModel(config), path)
    processor = {
        "image_processor_type": "SiglipImageProcessor",
        "size": {"height": 32, "width": 32},
        "resample": 3,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    (path / "preprocessor_config.json").write_text(json.dumps(processor))


def sentencepiece_model() -> bytes:
    """Make a file of sentencepiece, whose numbers of pieces are those of the tiny SigLIP."""
    proto: Any = import_module("transformers.convert_slow_tokenizer").import_protobuf()
    model = proto.ModelProto()
    vocabulary = json.loads((folder("siglip") / "tokenizer.json").read_text())["model"]["vocab"]
    kinds = {"<pad>": 3, "</s>": 3, "<unk>": 2}
    for piece, score in vocabulary:
        model.pieces.add(piece=piece, score=score, type=kinds.get(piece, 1))
    model.trainer_spec.model_type = 1
    model.trainer_spec.unk_id = 2
    model.normalizer_spec.add_dummy_prefix = True
    model.normalizer_spec.remove_extra_whitespaces = True
    model.normalizer_spec.escape_whitespaces = True
    content: bytes = model.SerializeToString()
    return content


def _siglip(path: Path) -> None:
    path.mkdir()
    pieces = ["<pad>", "</s>", "<unk>", "▁", "▁the", "▁a", "at", *(chr(c) for c in range(33, 127))]
    tokenizer = Tokenizer(models.Unigram([(p, -float(len(p))) for p in pieces], unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    tokenizer.save(str(path / "tokenizer.json"))
    write_json(
        path / "tokenizer_config.json",
        tokenizer_class="SiglipTokenizer",
        model_input_names=["input_ids"],
        model_max_length=LENGTH,
        **_SIGLIP_SPECIAL,
    )
    _siglip_model(path, len(pieces))


def _siglip2(path: Path) -> None:
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    pieces = [*special, "▁", *(chr(c) for c in range(33, 127)), "at", "the"]
    pieces += [f"<0x{byte:02X}>" for byte in range(256)]
    make: Any = transformers.Siglip2Tokenizer
    tokenizer = make(
        vocab={piece: i for i, piece in enumerate(pieces)},
        merges=[("a", "t")],
        add_bos_token=False,
        add_eos_token=True,
        padding_side="right",
        model_input_names=["input_ids"],
        model_max_length=LENGTH,
    )
    tokenizer.save_pretrained(path)
    _siglip_model(path, len(pieces))


def _naflex(path: Path) -> None:
    path.mkdir()
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder("siglip2") / file, path)
    size = json.loads((folder("siglip2") / "config.json").read_text())["text_config"]["vocab_size"]
    vision: dict[str, Any] = _TOWER | {"patch_size": 8, "num_patches": 16}
    text = _TOWER | {"vocab_size": size, "max_position_embeddings": LENGTH}
    text |= {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
    config = transformers.Siglip2Config(text_config=text, vision_config=vision)
    save_random(transformers.Siglip2Model(config), path)
    processor = {
        "image_processor_type": "Siglip2ImageProcessor",
        "patch_size": 8,
        "max_num_patches": 24,
        "resample": 2,
    }
    (path / "preprocessor_config.json").write_text(json.dumps(processor))


def _resnet(path: Path) -> None:
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 40], depths=[1, 1, 1, 1]
    )
    model = transformers.ResNetForImageClassification(config)
    generator = torch.Generator().manual_seed(5)
    for name, buffer in model.named_buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5 if "var" in name else -0.2, 1.0, generator=generator)
    save_random(model, path)
    processor = {
        "feature_extractor_type": "ConvNextFeatureExtractor",
        "size": 56,
        "crop_pct": 0.875,
        "resample": 3,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    (path / "preprocessor_config.json").write_text(json.dumps(processor))


def _vit(path: Path) -> None:
    save_random(transformers.ViTForImageClassification(transformers.ViTConfig(**_VISION)), path)
    processor = {"image_processor_type": "ViTImageProcessor", "size": 32, "resample": 2}
    (path / "preprocessor_config.json").write_text(json.dumps(processor))


def _dinov2(path: Path) -> None:
    # Trained at another size than it is used at, as the real one: 518 and 224.
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=48, patch_size=8
    )
    save_random(transformers.Dinov2Model(config), path)
    _clip_processor(path, image_processor_type="BitImageProcessor", size={"shortest_edge": 40})


def _dinov3(path: Path) -> None:
    config = transformers.DINOv3ViTConfig(**_VISION, num_register_tokens=2)
    save_random(transformers.DINOv3ViTModel(config), path)
    processor = {
        "image_processor_type": "DINOv3ViTImageProcessorFast",
        "size": {"height": 32, "width": 32},
        "resample": 2,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    (path / "preprocessor_config.json").write_text(json.dumps(processor))


def _tipsv2(path: Path) -> None:
    pieces = ["<pad>", "<unk>", "▁", *(chr(c) for c in range(33, 127)), "▁the", "at", "th", "the"]
    pieces += [f"<0x{byte:02X}>" for byte in range(256)]
    make: Any = transformers.Tipsv2Tokenizer
    make(
        vocab={piece: i for i, piece in enumerate(pieces)},
        merges=[("a", "t"), ("t", "h"), ("th", "e"), ("▁", "the")],
        model_max_length=LENGTH,
    ).save_pretrained(path)
    text = _TOWER | {"vocab_size": len(pieces), "max_position_embeddings": LENGTH}
    vision: dict[str, Any] = _VISION | {"mlp_ratio": 2}
    del vision["intermediate_size"]
    config = transformers.Tipsv2Config(text_config=text, vision_config=vision)
    save_random(transformers.Tipsv2Model(config), path)
    processor = {
        "image_processor_type": "Tipsv2ImageProcessor",
        "do_normalize": False,
        "resample": 2,
        "size": {"height": 32, "width": 32},
    }
    (path / "preprocessor_config.json").write_text(json.dumps(processor))


GEMMA_PROMPTS = {"SearchQuery": "query: ", "Document": "text: "}
"""Of the tiny EmbeddingGemma 2; those of the real one leave little of 100 tokens."""


def _gemma(path: Path) -> None:
    """As Google's: sentence-transformers' layout, and a network that also hears."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    media = {"image": "<|image|>", "boi": "<|image>", "eoi": "<image|>", "audio": "<|audio|>"}
    media |= {"boa": "<|audio>", "eoa": "<audio|>", "video": "<|video|>"}
    pieces = [*special, *media.values(), "▁", *(chr(c) for c in range(33, 127)), "at", "the"]
    pieces += [f"<0x{byte:02X}>" for byte in range(256)]
    numbers = {piece: i for i, piece in enumerate(pieces)}
    make: Any = transformers.GemmaTokenizer
    make(
        vocab=numbers,
        merges=[("a", "t")],
        add_bos_token=True,
        add_eos_token=True,
        padding_side="right",
        model_max_length=LENGTH,
        extra_special_tokens={f"{name}_token": token for name, token in media.items()},
    ).save_pretrained(path)
    text = {
        "vocab_size": len(pieces),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "sliding_window_pattern": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "global_head_dim": 16,
        "sliding_window": 6,
        "hidden_size_per_layer_input": 16,
        "embedding_dim": 160,
        "max_position_embeddings": 512,
    }
    vision = _TOWER | {
        "model_type": "gemma4_vision",
        "num_key_value_heads": 4,
        "head_dim": 8,
        "num_hidden_layers": 1,
        "patch_size": 4,
        "position_embedding_size": 256,
        "standardize": True,
    }
    audio = {
        "model_type": "gemma4_audio",
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "subsampling_conv_channels": [8, 4],
        "output_proj_dims": 16,
        "use_clipped_linears": False,
    }
    ids: dict[str, Any] = {f"{n}_token_id": numbers[media[n]] for n in ("image", "video", "audio")}
    config = transformers.EmbeddingGemma2Config(
        text_config=text,
        vision_config=vision,
        audio_config=audio,
        boi_token_id=numbers[media["boi"]],
        eoi_token_id=numbers[media["eoi"]],
        boa_token_id=numbers[media["boa"]],
        eoa_token_index=numbers[media["eoa"]],
        **ids,
    )
    model = transformers.EmbeddingGemma2Model(config)
    generator = torch.Generator().manual_seed(4)
    tower: Any = model.vision_tower
    for buffer in (tower.std_bias, tower.std_scale):
        buffer.uniform_(0.5, 1.0, generator=generator)
    save_random(model, path)
    sounds = {"feature_extractor_type": "Gemma4AudioFeatureExtractor", "sampling_rate": 16000}
    write_json(path / "preprocessor_config.json", **sounds)
    images = {
        "image_processor_type": "Gemma4ImageProcessor",
        "patch_size": 4,
        "pooling_kernel_size": 3,
        "max_soft_tokens": 70,
        "do_normalize": False,
        "resample": 3,
    }
    write_json(path / "processor_config.json", image_processor=images, feature_extractor=sounds)
    kinds = ("base.modules.transformer.Transformer", "base.modules.normalize.Normalize")
    pooling = "sentence_transformer.modules.pooling.Pooling"
    modules = [
        {"idx": i, "name": str(i), "path": part, "type": f"sentence_transformers.{kind}"}
        for i, (part, kind) in enumerate(
            (("", kinds[0]), ("1_Pooling", pooling), ("2_Normalize", kinds[1]))
        )
    ]
    (path / "modules.json").write_text(json.dumps(modules))
    (path / "1_Pooling").mkdir()
    write_json(path / "1_Pooling/config.json", embedding_dimension=160, pooling_mode="mean")
    write_json(
        path / "config_sentence_transformers.json",
        model_type="SentenceTransformer",
        prompts=GEMMA_PROMPTS,
        similarity_fn_name="cosine",
    )
    forward = {"method": "forward", "method_output_name": "last_hidden_state"}
    write_json(
        path / "sentence_bert_config.json",
        transformer_task="feature-extraction",
        modality_config=dict.fromkeys(("text", "image", "audio", "video"), forward)
        | {"message": forward | {"format": "structured"}},
        module_output_name="token_embeddings",
    )


def _bert(path: Path) -> None:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = ["a", "cat", "dog", "the", "of", "photo", "and", "query", "passage"]
    letters = [chr(code) for code in range(33, 127)]
    pieces = dict.fromkeys([*special, *words, *letters, *("##" + c for c in letters)])
    vocab = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocab, **_UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    wrapper: Any = transformers.PreTrainedTokenizerFast
    wrapper(
        tokenizer_object=tokenizer,
        **dict(zip(["pad_token", "unk_token", "cls_token", "sep_token"], special, strict=True)),
        model_max_length=LENGTH + 20,
    ).save_pretrained(path)
    config = transformers.BertConfig(
        **_TOWER,
        vocab_size=len(vocab),
        max_position_embeddings=LENGTH + 10,
        hidden_dropout_prob=0.0,
    )
    save_random(transformers.BertModel(config, add_pooling_layer=False), path)


def _sentence(path: Path) -> None:
    """As distiluse is: Transformer, mean Pooling, Dense with tanh; in the older file format."""
    _bert(path)
    types = ["Transformer", "Pooling", "Dense"]
    parts = ["", "1_Pooling", "2_Dense"]
    modules = [
        {"idx": i, "name": str(i), "path": part, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, part) in enumerate(zip(types, parts, strict=True))
    ]
    (path / "modules.json").write_text(json.dumps(modules))
    write_json(path / "sentence_bert_config.json", max_seq_length=LENGTH, do_lower_case=True)
    for part in parts[1:]:
        (path / part).mkdir()
    write_json(
        path / "1_Pooling/config.json", word_embedding_dimension=32, pooling_mode_mean_tokens=True
    )
    write_json(
        path / "2_Dense/config.json",
        in_features=32,
        out_features=24,
        bias=True,
        activation_function="torch.nn.modules.activation.Tanh",
    )
    linear = torch.nn.Linear(32, 24)
    torch.save(
        {f"linear.{key}": value for key, value in linear.state_dict().items()},
        path / "2_Dense/pytorch_model.bin",
    )


_BUILDERS = {
    "clip": _clip,
    "siglip": _siglip,
    "siglip2": _siglip2,
    "metaclip2": _metaclip2,
    "metaclip2-mt5": _metaclip2_mt5,
    "aimv2": _aimv2,
    "resnet": _resnet,
    "vit": _vit,
    "dinov2": _dinov2,
    "dinov3": _dinov3,
    "naflex": _naflex,
    "tipsv2": _tipsv2,
    "gemma": _gemma,
    "sentence": _sentence,
}
