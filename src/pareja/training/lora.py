"""Low-rank adapters (Hu et al. 2022) in the blocks of a network, by way of PEFT."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from pareja.encoders.adapters import CONFIG, WEIGHTS, core_of, with_core, wrapped
from pareja.errors import EncoderError, InputError
from pareja.training.cuts import blocks_of
from pareja.training.schedule import require

Towers = Literal["both", "image", "text"]

# What the part of a block that mixes tokens is called in transformers: self_attn, attention, attn.
_ATTENTION = re.compile("att(n|ention)", re.IGNORECASE)


@dataclass(frozen=True)
class Rank:
    """What an adapter looks like.

    Parameters
    ----------
    rank, alpha
        The change of a weight is ``alpha / rank * B A``, B and A of this rank.
    dropout
        Share of an adapter's inputs that is dropped while training, in [0, 1).
    blocks
        How many of the last blocks (of a ResNet: stages) are adapted; None adapts all.
    mlp
        Whether the two-layer networks behind the attention are adapted too. In a network without
        attention the convolutions of its blocks are adapted, with or without this.
    dora
        Whether the length of each weight's columns is learned apart (Liu et al. 2024).

    Raises
    ------
    InputError
        If one of them is out of its range.
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    blocks: int | None = None
    mlp: bool = False
    dora: bool = False

    def __post_init__(self) -> None:
        require("rank", self.rank, 1)
        require("alpha", self.alpha, 0, above=True)
        require("blocks", self.blocks, 1)
        if not 0 <= self.dropout < 1:
            raise InputError(f"`dropout` must be at least 0 and below 1, got {self.dropout}.")


def adapt(module: torch.nn.Module, rank: Rank) -> tuple[torch.nn.Module, int]:
    """Put adapters into a network; nothing else of it is trained.

    Parameters
    ----------
    module
        A network of transformers' classes, or one of sentence-transformers around it.
    rank
        What the adapters look like.

    Returns
    -------
    module, below
        The network, and how many of its blocks lie below the first that is adapted.

    Raises
    ------
    EncoderError
        If it has no blocks with attention or convolutions.
    """
    import peft

    place, core = core_of(module)
    try:
        name, blocks = blocks_of(core)
    except LookupError:
        name, blocks = "", torch.nn.ModuleList()
    below = 0 if rank.blocks is None else max(0, len(blocks) - rank.blocks)
    targets = [f"{name}.{inner}" for inner in _adaptable(blocks, below, mlp=rank.mlp)]
    if not targets:
        raise EncoderError(
            "this network has no blocks with attention or convolutions, so there is nothing for "
            "low-rank adapters. Use `method='head'`."
        )
    config = peft.LoraConfig(
        r=rank.rank,
        lora_alpha=rank.alpha,  # type: ignore[arg-type]  # peft divides by it, and wants no int
        lora_dropout=rank.dropout,
        use_dora=rank.dora,
        target_modules=targets,
        bias="none",
    )
    module.requires_grad_(False)
    return with_core(module, place, wrapped(core, config)), below


def _adaptable(blocks: torch.nn.ModuleList, below: int, *, mlp: bool) -> list[str]:
    """Return the names of the layers in the blocks from one on that get adapters.

    Only inside the blocks: the attention that pools SigLIP's patches reads its weights without
    calling its layers, so that an adapter on them would be trained and never heard.
    """
    layers = [
        (inner, layer)
        for inner, layer in blocks.named_modules()
        if inner and int(inner.partition(".")[0]) >= below
    ]
    linear = [inner for inner, layer in layers if isinstance(layer, torch.nn.Linear)]
    if not linear:
        return [inner for inner, layer in layers if isinstance(layer, torch.nn.Conv2d)]
    return [inner for inner in linear if mlp or _ATTENTION.search(inner)]


def save_adapter(folder: Path, modules: Sequence[torch.nn.Module], base: str) -> None:
    """Write one folder in PEFT's layout for the adapters of both towers.

    Parameters
    ----------
    folder
        Where; it exists.
    modules
        What `adapt` returned; others hold no adapters and are passed over.
    base
        What the adapter's configuration names as its base.
    """
    import peft

    weights: dict[str, torch.Tensor] = {}
    configs = []
    for module in modules:
        _, core = core_of(module)
        if isinstance(core, peft.PeftModel):
            weights |= peft.get_peft_model_state_dict(core)
            configs.append(core.peft_config["default"].to_dict())
    targets = sorted({target for each in configs for target in each["target_modules"]})
    _write(folder, {**configs[0], "target_modules": targets}, weights, base)


def save_changes(folder: Path, changes: Mapping[str, torch.Tensor], base: str) -> None:
    """Write changes of whole matrices as an adapter in PEFT's layout.

    A change W of ``(out, in)`` is the low-rank product B A of full rank, with B the identity and A
    the change itself, so that whatever reads adapters reads it.

    Parameters
    ----------
    folder
        Where; it exists.
    changes
        By the names of their layers in the model; all have as many rows.
    base
        What the adapter's configuration names as its base.
    """
    import peft

    rank = len(next(iter(changes.values())))
    config = peft.LoraConfig(r=rank, lora_alpha=rank, target_modules=sorted(changes), bias="none")
    weights: dict[str, torch.Tensor] = {}
    for name, change in changes.items():
        weights[f"base_model.model.{name}.lora_A.weight"] = change
        weights[f"base_model.model.{name}.lora_B.weight"] = torch.eye(rank)
    settings: dict[str, Any] = config.to_dict()  # type: ignore[no-untyped-call]  # as peft has it
    _write(folder, settings, weights, base)


def _write(
    folder: Path, config: dict[str, Any], weights: Mapping[str, torch.Tensor], base: str
) -> None:
    from safetensors.torch import save_file

    save_file({key: value.contiguous() for key, value in weights.items()}, folder / WEIGHTS)
    config |= {"base_model_name_or_path": base, "inference_mode": True}
    text = json.dumps(config, indent=2, sort_keys=True, default=str)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8")
