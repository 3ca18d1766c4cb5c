"""A whole model in transformers' layout, from the networks of an encoder."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable
from pathlib import Path

import torch

from pareja.encoders.model_files import WEIGHTS
from pareja.encoders.opening import open_folder
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import EncoderError


def write_model(
    folder: Path,
    encoder: NetworkDualEncoder,
    modules: Iterable[torch.nn.Module],
    terms: tuple[float, float],
) -> None:
    """Write the folder of a model whose weights were changed.

    Parameters
    ----------
    folder
        Where; it exists.
    encoder
        Brings the configuration, the tokenizer and the processor, which are copied.
    modules
        Both of its networks with the weights that they are to have.
    terms
        Scale and bias of the logits.

    Raises
    ------
    EncoderError
        If the encoder comes from no folder.
    """
    from safetensors.torch import save_file

    if encoder.folder is None:
        raise EncoderError(f"{encoder.name} comes from no folder, so there is none to write it to.")
    for path in sorted(encoder.folder.iterdir()):
        described = path.suffix in {".json", ".txt", ".model"}
        if path.is_file() and described and not path.name.startswith(WEIGHTS):
            shutil.copyfile(path, folder / path.name)
    weights: dict[str, torch.Tensor] = {}
    for module in modules:
        weights |= {name: value.detach().cpu() for name, value in module.state_dict().items()}
    weights["logit_scale"] = torch.tensor(math.log(terms[0]))
    if encoder.loss == "sigmoid":
        weights["logit_bias"] = torch.tensor([terms[1]])
        weights["logit_scale"] = weights["logit_scale"].reshape(1)
    weights = {name: value.contiguous().clone() for name, value in weights.items()}
    save_file(weights, folder / WEIGHTS[0], metadata={"format": "pt"})


def write_merged(encoder: NetworkDualEncoder, folder: Path) -> None:
    """Write an encoder, its adapter merged into the weights, as a plain folder of transformers.

    Parameters
    ----------
    encoder
        With an adapter or without.
    folder
        Where; it exists.

    Raises
    ------
    EncoderError
        If the encoder comes from no folder, or was trained with another loss than its base, which
        a plain folder cannot say.
    """
    if encoder.folder is not None:
        plain = open_folder(encoder.folder, encoder.name)
        if isinstance(plain, NetworkDualEncoder) and plain.loss != encoder.loss:
            raise EncoderError(
                f"{encoder.name} was trained with the {encoder.loss} loss, and a plain model of "
                f"its kind has the logits of {plain.loss}. Keep the adapter, or train with "
                f"`loss={plain.loss!r}`."
            )
    networks = (encoder.image_network, encoder.text_network)
    write_model(folder, encoder, [n.build() for n in networks], encoder.logit_terms)
