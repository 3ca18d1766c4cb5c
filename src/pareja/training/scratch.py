"""A dual encoder before it has learned anything: small networks of transformers' own classes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from pareja.encoders.weights import quiet_transformers
from pareja.errors import EncoderError

_SIGLIP_START = (10.0, -10.0)  # Zhai et al. 2023, section 3.2
_CLIP_START = 1 / 0.07  # Radford et al. 2021, section 2.5


@dataclass(frozen=True)
class Plan:
    """How large the networks of a new encoder are.

    Parameters
    ----------
    family
        ``"clip"`` (softmax, causal text network) or ``"siglip"`` (sigmoid, pooling by attention).
    side, patch
        Of the square that the image network sees, and of its patches, in pixels.
    width, heads, image_blocks, text_blocks
        Of both transformers.
    dim
        Length of an embedding (SigLIP: always the width).
    length
        Tokens of a text.
    vocabulary
        At most so many tokens.
    """

    family: Literal["clip", "siglip"] = "clip"
    side: int = 48
    patch: int = 8
    width: int = 128
    heads: int = 4
    image_blocks: int = 4
    text_blocks: int = 2
    dim: int = 64
    length: int = 24
    vocabulary: int = 512


def read_plan(path: Path | str) -> Plan:
    """Read a plan from a JSON file with some of the fields of `Plan`.

    Raises
    ------
    EncoderError
        If it cannot be read, or has another field or a size that does not fit the others.
    """
    try:
        plan = Plan(**json.loads(Path(path).read_text("utf-8")))
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, TypeError) as error:
        raise EncoderError(
            f"{path} is no plan of an encoder: {error}. Write a JSON table with some of "
            f"{', '.join(vars(Plan()))}."
        ) from error
    wrong = {
        name: value
        for name, value in vars(plan).items()
        if (value not in ("clip", "siglip") if name == "family" else type(value) is not int)
        or (isinstance(value, int) and value < 1)
    }
    if wrong:
        raise EncoderError(
            f"{path}: family must be clip or siglip, and all else whole numbers from 1 on; got "
            f"{', '.join(f'{name} {value!r}' for name, value in wrong.items())}."
        )
    if plan.side % plan.patch or plan.width % plan.heads:
        raise EncoderError(
            f"{path}: side must be a multiple of patch, and width one of heads; got side "
            f"{plan.side}, patch {plan.patch}, width {plan.width}, heads {plan.heads}."
        )
    return plan


def make_checkpoint(folder: Path, plan: Plan, texts: Sequence[str], seed: int = 0) -> None:
    """Write the folder of an encoder with random weights, in transformers' layout.

    Parameters
    ----------
    folder
        Where; it exists.
    plan
        How large its networks are.
    texts
        What its tokenizer is made from.
    seed
        Of its weights.
    """
    import transformers

    ids = _write_tokenizer(folder, plan, texts)
    tower = {
        "hidden_size": plan.width,
        "intermediate_size": 2 * plan.width,
        "num_attention_heads": plan.heads,
    }
    text = tower | {"num_hidden_layers": plan.text_blocks, "max_position_embeddings": plan.length}
    text |= ids
    vision = tower | {
        "num_hidden_layers": plan.image_blocks,
        "image_size": plan.side,
        "patch_size": plan.patch,
    }
    config: Any
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if plan.family == "clip":
            config = transformers.CLIPConfig(
                text_config=text,
                vision_config=vision,
                projection_dim=plan.dim,
                logit_scale_init_value=math.log(_CLIP_START),
            )
            model: Any = transformers.CLIPModel(config)
        else:
            config = transformers.SiglipConfig(text_config=text, vision_config=vision)
            model = transformers.SiglipModel(config)
            scale, bias = _SIGLIP_START
            model.logit_scale.data.fill_(math.log(scale))
            model.logit_bias.data.fill_(bias)
    with quiet_transformers():
        model.save_pretrained(folder)
    _write_processor(folder, plan)


def _write_processor(folder: Path, plan: Plan) -> None:
    square = {"height": plan.side, "width": plan.side}
    processor: dict[str, Any] = {
        "image_processor_type": f"{'CLIP' if plan.family == 'clip' else 'Siglip'}ImageProcessor",
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "do_convert_rgb": True,
        "resample": 3,
        "rescale_factor": 1 / 255,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "size": square,
    }
    if plan.family == "clip":
        processor |= {
            "size": {"shortest_edge": plan.side},
            "do_center_crop": True,
            "crop_size": square,
        }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")


def _write_tokenizer(folder: Path, plan: Plan, texts: Sequence[str]) -> dict[str, Any]:
    """Write a tokenizer of whole words and pieces; return the ids that the config names."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    clip = plan.family == "clip"
    # transformers takes an end token of id 2 for that of the first CLIP configs, which were wrong,
    # and then pools the token with the highest id.
    special = ["<pad>", "<unk>", "<start>", "<end>"] if clip else ["<pad>", "</s>", "<unk>"]
    backend = Tokenizer(models.WordPiece(unk_token=special[1 if clip else 2]))
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=plan.vocabulary,
        special_tokens=special,
        # Every letter, so that a word that was never seen is spelt out.
        initial_alphabet=list("abcdefghijklmnopqrstuvwxyzáéíóúñü0123456789"),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    start, end = ("<start>", "<end>") if clip else ("", "</s>")
    used = [token for token in (start, end) if token]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}".strip(),
        special_tokens=[(token, backend.token_to_id(token)) for token in used],
    )
    backend.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": plan.length,
        "pad_token": "<pad>",
        "eos_token": end,
        "unk_token": "<unk>",
    }
    if clip:
        settings["bos_token"] = start
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    ids: dict[str, Any] = {
        "vocab_size": backend.get_vocab_size(),
        "pad_token_id": backend.token_to_id("<pad>"),
        "eos_token_id": backend.token_to_id(end),
    }
    # SigLIP's texts have none, and the default of its config is no token of this vocabulary.
    ids["bos_token_id"] = backend.token_to_id(start) if clip else None
    return ids
