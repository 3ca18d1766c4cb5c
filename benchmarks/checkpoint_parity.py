"""How far vectors are from those of the libraries that wrote the folder.

    python benchmarks/checkpoint_parity.py

Makes tiny checkpoints of every layout with new random weights, embeds photographs and texts in
float32, with torch and with OpenVINO, and prints the largest difference of a number as a table.
SigLIP needs ``sentencepiece``, and layouts of open_clip need ``open_clip_torch``; a layout whose
library is not installed is left out and named. With words after it, only layouts whose names begin
with them are measured:

    python benchmarks/checkpoint_parity.py EmbeddingGemma
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pareja import decode_image, load, load_dataset

ROOT = Path(__file__).parents[1]
# Where torchvision is installed, transformers resizes with it, and its pixels are not those of
# Pillow, with which pareja prepares pictures: vectors differ by up to 1e-3.
sys.modules["torchvision"] = None  # type: ignore[assignment]
sys.path.insert(0, str(ROOT / "tests" / "encoders"))
import tiny_models as tiny  # noqa: E402  tests make the same layouts

TEXTS = (
    "a photo of a cat",
    "",
    "A PHOTO of the Dog!",
    "El niño y la cigüeña; ¿qué pasó en el jardín?",
    "two lines\nand a\ttab",
    "it’s “quoted” & 50 % off: #1",
    "日本語 🐈",
    "the cat and the dog, and then " * 30,
)
PHOTOGRAPHS = 12
DEVICES = {"cpu": "torch", "openvino": "OpenVINO"}

Rows = NDArray[np.float64]
Right = dict[str, Rows]


def photographs() -> list[Image.Image]:
    """Return photographs of different shapes."""
    records = load_dataset("commons200").records
    chosen = records[:: len(records) // PHOTOGRAPHS][:PHOTOGRAPHS]
    return [decode_image(record.source) for record in chosen]


def unit(rows: Any) -> Rows:
    """Return rows of length 1."""
    values = np.asarray(rows, np.float64)
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True))


def renewed(kind: str, path: Path) -> Path:
    """Copy a tiny checkpoint, and give its network other random weights."""
    tiny.altered(kind, path)
    tiny.save_random(import_module("transformers").AutoModel.from_pretrained(path), path, seed=2026)
    if kind == "siglip":
        (path / "tokenizer.json").unlink()
        (path / "spiece.model").write_bytes(tiny.sentencepiece_model())
    return path


def by_transformers(kind: str, path: Path, pictures: Sequence[Image.Image]) -> Right:
    """Embed with transformers' own classes."""
    transformers = import_module("transformers")
    model = transformers.AutoModel.from_pretrained(path).eval()
    name = PROCESSORS[kind]
    module = f"transformers.models.{name.lower()}.image_processing_pil_{name.lower()}"
    processor = getattr(import_module(module), f"{name}ImageProcessorPil").from_pretrained(path)
    prepared = processor(list(pictures), return_tensors="pt")
    pixels = prepared["pixel_values"]
    with torch.inference_mode():
        if kind in (*tiny.IMAGE, "dinov3"):
            output = model(pixel_values=pixels)
            pooled = output.last_hidden_state[:, 0]
            return {"images": unit(output.pooler_output.flatten(1) if kind == "resnet" else pooled)}
        tokenizer = transformers.AutoTokenizer.from_pretrained(path)
        padding: Any = "max_length" if kind.startswith(PADDED) else True
        tokens = tokenizer(list(TEXTS), padding=padding, truncation=True, return_tensors="pt")
        tokens = {key: tokens[key] for key in tokenizer.model_input_names if key in tokens}
        if kind == "siglip":
            tokens.pop("attention_mask", None)  # it was trained without
        output = model(**tokens, **prepared)
    return {"images": unit(output.image_embeds), "texts": unit(output.text_embeds)}


def by_gemma(path: Path, pictures: Sequence[Image.Image], together: bool) -> Right:
    """Embed with transformers' EmbeddingGemma 2: pictures and texts alone, or each with another."""
    reference = import_module("gemma_reference").by_transformers
    query, document = tiny.GEMMA_PROMPTS.values()
    if together:
        texts = [f"{document}{text}<|image|>" for text in captions(pictures)]
        return {"fused": reference(path, texts, pictures)}
    alone = ["<|image|>"] * len(pictures)
    return {
        "images": reference(path, alone, pictures),
        "texts": reference(path, [query + text for text in TEXTS]),
    }


def captions(pictures: Sequence[Image.Image]) -> list[str]:
    """Return a short text for each picture."""
    return [TEXTS[row % 4] for row in range(len(pictures))]


def by_floats(path: Path, pictures: Sequence[Image.Image]) -> Right:
    """Embed with transformers' DINOv3, resizing as its processor for torchvision does.

    It resizes numbers from 0 to 1, and Pillow whole levels from 0 to 255.
    """
    model = import_module("transformers").AutoModel.from_pretrained(path).eval()
    settings = json.loads((path / "preprocessor_config.json").read_text())
    mean, std = (torch.tensor(settings[f"image_{name}"])[:, None, None] for name in ("mean", "std"))
    side = settings["size"]["height"]
    with torch.inference_mode():
        values = [torch.from_numpy(np.asarray(image)).permute(2, 0, 1) / 255 for image in pictures]
        resized = torch.cat(
            [
                torch.nn.functional.interpolate(
                    value[None], (side, side), mode="bilinear", antialias=True
                )
                for value in values
            ]
        )
        return {"images": unit(model((resized - mean) / std).pooler_output)}


def by_sentence_transformers(path: Path, pictures: Sequence[Image.Image] | None) -> Right:
    """Embed with sentence-transformers."""
    library = import_module("sentence_transformers")
    model = library.SentenceTransformer(str(path), device="cpu", local_files_only=True)
    asked: dict[str, Any] = {"texts": list(TEXTS)}
    if pictures is not None:
        asked["images"] = list(pictures)
    return {
        what: unit(model.encode(given, show_progress_bar=False)) for what, given in asked.items()
    }


def saved_by_sentence_transformers(kind: str, path: Path) -> Path:
    """Save a dual encoder as sentence-transformers does today."""
    base = renewed(kind, path.with_name(f"{path.name}-base"))
    library = import_module("sentence_transformers")
    library.SentenceTransformer(str(base), device="cpu").save_pretrained(str(path))
    return path


def saved_by_open_clip(clean: str | None, path: Path) -> Path:
    """Write a tiny model in open_clip's layout, with its own tokenizer or with that of SigLIP."""
    open_clip, transformers = import_module("open_clip"), import_module("transformers")
    text: dict[str, Any] = {"width": 32, "heads": 2, "layers": 2, "context_length": tiny.LENGTH}
    if clean is None:
        path.mkdir()
        own = open_clip.SimpleTokenizer()
        pieces = [*[*own.encoder][:-2], "<|startoftext|>", "<|endoftext|>"]
        vocabulary = {piece: number for number, piece in enumerate(pieces)}
        tokenizer = transformers.CLIPTokenizer(vocab=vocabulary, merges=[*own.bpe_ranks])
        tokenizer.save_pretrained(path)
    else:
        tiny.altered("siglip", path)
        tiny.write_json(path / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
        for file in ("config.json", "model.safetensors", "preprocessor_config.json"):
            (path / file).unlink()
        text |= {"vocab_size": 200, "hf_tokenizer_name": "tiny", "no_causal_mask": True}
        text |= {"tokenizer_kwargs": {"clean": clean}, "pool_type": "last", "proj_bias": True}
    vision = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
    config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}
    described = {"model_cfg": config, "preprocess_cfg": {"mean": [0.4] * 3, "std": [0.3] * 3}}
    (path / "open_clip_config.json").write_text(json.dumps(described))
    tiny.save_random(open_clip.CLIP(**config), path / "open_clip_model.safetensors", seed=2026)
    return path


def by_open_clip(path: Path, pictures: Sequence[Image.Image]) -> Right:
    """Embed with open_clip."""
    open_clip = import_module("open_clip")
    model, prepare = open_clip.create_model_from_pretrained(f"local-dir:{path}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{path}")
    with torch.inference_mode():
        images = model.eval().encode_image(torch.stack([prepare(image) for image in pictures]))
        return {"images": unit(images), "texts": unit(model.encode_text(tokenizer(list(TEXTS))))}


PADDED = ("siglip", "naflex", "tips")
PROCESSORS = {
    **dict.fromkeys(("clip", "metaclip2", "aimv2"), "CLIP"),
    **dict.fromkeys(("siglip", "siglip2"), "Siglip"),
    "resnet": "ConvNext",
    "vit": "ViT",
    "dinov2": "Bit",
    "naflex": "Siglip2",
    **tiny.BY_TORCHVISION,
}
NAMES = {
    "clip": "CLIP",
    "siglip": "SigLIP, tokenizer in `spiece.model`",
    "siglip2": "SigLIP 2",
    "metaclip2": "MetaCLIP 2",
    "aimv2": "AIMv2-lit",
    "resnet": "ResNet",
    "vit": "ViT",
    "dinov2": "DINOv2",
    "naflex": "SigLIP 2 NaFlex",
    "dinov3": "DINOv3",
    "tipsv2": "TIPSv2",
    "sentence": "BERT, mean pooling, Dense",
}


def measure(path: Path, right: Right, pictures: Sequence[Image.Image]) -> list[str]:
    """Return the differences as cells: pictures by device, then texts by device."""
    cells = []
    for what in ("fused" if "fused" in right else "images", "texts"):
        for device in DEVICES:
            if what not in right:
                cells.append("")
                continue
            encoder: Any = load(path, device=device, precision="float32")
            given: dict[str, tuple[Any, ...]] = {
                "images": (list(pictures),),
                "texts": (list(TEXTS),),
                "fused": (list(pictures), captions(pictures)),
            }
            mine = getattr(encoder, f"encode_{what}")(*given[what])
            # transformers' TIPSv2 gives NaN for a text without tokens.
            cells.append(f"{np.nanmax(np.abs(mine - right[what])):.1e}")
    return cells


Made = tuple[Path, Right]


def layouts(place: Path, pictures: Sequence[Image.Image]) -> Iterator[Layout]:
    """Yield every layout: how it is called, its library, and how it is made and embedded."""

    def plain(kind: str) -> Made:
        path = renewed(kind, place / kind)
        return path, by_transformers(kind, path, pictures)

    def sentence(kind: str) -> Made:
        path = place / f"st-{kind}"
        if kind == "sentence":
            shutil.copytree(tiny.folder(kind), path)
            return path, by_sentence_transformers(path, None)
        path = saved_by_sentence_transformers(kind, path)
        return path, by_sentence_transformers(path, pictures)

    def open_clip(clean: str | None) -> Made:
        if sys.modules.get("torchvision", ...) is None:
            del sys.modules["torchvision"]
        path = saved_by_open_clip(clean, place / f"open_clip-{clean}")
        return path, by_open_clip(path, pictures)

    needs = {"siglip": ("sentencepiece",)}
    for kind in (*tiny.DUAL, *tiny.IMAGE, "naflex", *tiny.BY_TORCHVISION):
        yield Layout(NAMES[kind], "transformers", needs.get(kind, ()), partial(plain, kind))

    def gemma(together: bool) -> Made:
        path = renewed("gemma", place / f"gemma-{together}")
        return path, by_gemma(path, pictures, together)

    yield Layout("EmbeddingGemma 2", "transformers", (), partial(gemma, False))
    title = "EmbeddingGemma 2, pictures with texts"
    yield Layout(title, "transformers", (), partial(gemma, True))

    def floats() -> Made:
        path = renewed("dinov3", place / "floats")
        return path, by_floats(path, pictures)

    yield Layout("DINOv3, resized as numbers from 0 to 1", "transformers", (), floats)
    for kind in ("sentence", *tiny.DUAL):
        made = partial(sentence, kind)
        yield Layout(NAMES[kind], "sentence-transformers", needs.get(kind, ()), made)
    for clean, title in (
        (None, "open_clip's tokenizer"),
        ("whitespace", "a Hugging Face tokenizer"),
        ("canonicalize", "SigLIP's texts"),
    ):
        made = partial(open_clip, clean)
        yield Layout(f"CLIP with {title}", "open_clip_torch", ("open_clip",), made)


class Layout(NamedTuple):
    """A layout of a folder."""

    title: str
    library: str
    needs: tuple[str, ...]
    make: Callable[[], Made]


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    pictures = photographs()
    heads = ["folder", "written and compared with"]
    heads += [f"{what}, {name}" for what in ("pictures", "texts") for name in DEVICES.values()]
    with tempfile.TemporaryDirectory() as folder:
        print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
        for title, library, needs, make in layouts(Path(folder), pictures):
            if not title.startswith(tuple(sys.argv[1:]) or ""):
                continue
            if absent := [package for package in needs if find_spec(package) is None]:
                print(f"{title}, {library}: left out, there is no {absent[0]}", file=sys.stderr)
                continue
            path, right = make()
            cells = [title, f"{library} {version(library)}", *measure(path, right, pictures)]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
