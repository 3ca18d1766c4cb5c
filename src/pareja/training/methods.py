"""How an encoder is adapted: which weights are trained, and in which layout they are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from pareja.encoders.adapters import NOTES
from pareja.encoders.origins import is_model_folder, origin_of
from pareja.encoders.protocols import DualEncoder, Pixels
from pareja.encoders.towers import NetworkDualEncoder, NetworkImageEncoder, NetworkTextEncoder
from pareja.errors import EncoderError
from pareja.training.cuts import blocks_of
from pareja.training.lora import Rank, Towers, adapt, save_adapter
from pareja.training.losses import Loss
from pareja.training.material import token_rows
from pareja.training.sides import Side, feature_reader, picture_reader, text_reader
from pareja.training.whole import write_model

NetworkMethod = Literal["lora", "full"]
"""Which weights of its networks are trained: low-rank changes of the attention, or all."""

Method = NetworkMethod | Literal["projection", "head"]
"""One of these, the last matrix of each tower alone, or linear maps on top of the encoder."""

OnRows = Callable[[str, int, int], None]
"""Called with a network, how many of its rows are done, and how many there are."""

NETWORK_METHODS: tuple[NetworkMethod, ...] = get_args(NetworkMethod)

# In transformers' CLIP, SigLIP, MetaCLIP 2 and AIMv2.
_BEFORE_THE_BLOCKS = (".embeddings", ".pre_layrnorm")


@dataclass(frozen=True)
class Adaptation:
    """An encoder ready to be trained.

    Parameters
    ----------
    image, text
        Its towers over the pictures and texts that are given.
    save
        Writes what was trained to a folder that exists, with the logits' scale and bias.
    before
        What it is measured against: the encoder that is adapted, or the head that training begins
        with.
    """

    image: Side
    text: Side
    save: Callable[[Path, tuple[float, float]], None]
    before: DualEncoder


def begin(
    encoder: NetworkDualEncoder,
    pixels: Pixels,
    texts: tuple[str, ...],
    method: NetworkMethod,
    *,
    loss: Loss | None = None,
    towers: Towers = "both",
    rank: Rank | None = None,
    device: str = "cpu",
    seed: int = 0,
    progress: OnRows | None = None,
) -> Adaptation:
    """Make the networks of an encoder trainable.

    Parameters
    ----------
    encoder
        What is adapted. It stays as it is: its networks are built anew.
    pixels
        Prepared pictures, ``(n, side, side, 3)``.
    texts
        Distinct texts.
    method
        Which weights are trained.
    loss
        How; by default as the encoder was trained.
    towers
        Whose weights are trained.
    rank
        What low-rank adapters look like, and from which block on weights are trained.
    device
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    seed
        Of the weights that low-rank adapters begin with.
    progress
        Called while a tower that is not trained embeds its rows.

    Raises
    ------
    EncoderError
        If the networks have no such weights, or the loss has no place in what is written.
    """
    rank, loss = rank or Rank(), loss or encoder.loss
    if method == "full" and loss != encoder.loss:
        raise EncoderError(
            f"`method='full'` writes a plain model of the kind of {encoder.name}, whose logits are "
            f"those of {encoder.loss}: `loss={loss!r}` has no place there. Use `method='lora'`."
        )
    inputs = token_rows(encoder.tokeniser, texts)
    readers = {
        "image": picture_reader(pixels, encoder.preprocessing),
        "text": text_reader({name: inputs[name] for name in encoder.text_network.inputs}),
    }
    counts = {"image": len(pixels), "text": len(texts)}
    lengths = {}
    if not encoder.tokeniser.pad_to_max:
        lengths["text"] = inputs["attention_mask"].sum(axis=1)
    sides: dict[str, Side] = {}
    modules: dict[str, torch.nn.Module] = {}
    for network in (encoder.image_network, encoder.text_network):
        name = network.modality
        module, below = network.build(), 0
        wanted = towers in ("both", name)
        if wanted and method == "lora":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                module, below = adapt(module, rank)
        elif wanted and method == "full":
            below = _free(module, rank.blocks)
        whole = Side(
            module,
            readers[name],
            counts[name],
            below=below,
            device=device,
            lengths=lengths.get(name),
        )
        modules[name] = module
        shown = progress and partial(progress, f"{name} network")
        sides[name] = whole if wanted else _frozen(whole, device, shown)

    def save(folder: Path, terms: tuple[float, float]) -> None:
        if method == "full":
            write_model(folder, encoder, modules.values(), terms)
            return
        save_adapter(folder, list(modules.values()), repository_of(encoder))
        write_notes(folder, encoder, method, terms, loss)

    return Adaptation(sides["image"], sides["text"], save, encoder)


def _free(module: torch.nn.Module, last: int | None) -> int:
    """Let all weights of a network be trained, or those of its last blocks; return the cut."""
    module.requires_grad_(True)
    if last is None:
        return 0
    _, blocks = blocks_of(module)
    below = max(0, len(blocks) - last)
    if below:
        blocks[:below].requires_grad_(False)
        for name, part in module.named_modules():
            if name.endswith(_BEFORE_THE_BLOCKS):
                part.requires_grad_(False)
    return below


class _Identity(torch.nn.Module):
    """What is left to run of a tower that is not trained."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def _frozen(side: Side, device: str, progress: Callable[[int, int], None] | None) -> Side:
    """Embed every row once; nothing is left to train."""
    features = side.embed_all(np.arange(side.rows), progress)
    return Side(_Identity(), feature_reader(features), side.rows, device=device)


def repository_of(encoder: NetworkImageEncoder | NetworkTextEncoder) -> str:
    """Return what PEFT calls the base: the repository on the hub, or the folder."""
    local = is_model_folder(encoder.name)
    return origin_of(encoder) if local else encoder.fingerprint.model


def write_notes(
    folder: Path,
    encoder: NetworkImageEncoder | NetworkTextEncoder,
    method: Method,
    terms: tuple[float, float] | None = None,
    loss: Loss | None = None,
) -> None:
    """Write beside an adapter what it was trained on.

    Parameters
    ----------
    folder
        Where; it exists.
    encoder
        What was adapted.
    method
        How.
    terms, loss
        The logits' scale and bias, and what they were trained with; None for a network without.
    """
    notes: dict[str, Any] = {
        "base": {
            "name": origin_of(encoder),
            "repository": repository_of(encoder),
            "fingerprint": encoder.fingerprint.digest,
        },
        "method": method,
    }
    if terms is not None:
        notes |= {"loss": loss, "logit_scale": terms[0], "logit_bias": terms[1]}
    (folder / NOTES).write_text(json.dumps(notes, indent=2) + "\n", encoding="utf-8")
