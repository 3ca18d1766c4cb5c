"""Adapters: what PEFT has learned for a model, in a folder of its own beside or without the model.

A folder in PEFT's layout holds ``adapter_config.json`` and ``adapter_model.safetensors``; what it
adapts is named inside, and loaded first. `pareja tune` writes ``pareja.json`` beside them: the
base's name and fingerprint, and the logits' scale and bias where they were trained.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pareja.encoders.backends.network import Network
from pareja.encoders.catalogue import list_models
from pareja.encoders.checkpoint import Checkpoint
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import MissingDependencyError

if TYPE_CHECKING:
    import torch

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
NOTES = "pareja.json"

_PREFIX = "base_model.model."


def adapted(base: NetworkDualEncoder, checkpoint: Checkpoint) -> NetworkDualEncoder:
    """Return a dual encoder with an adapter in both of its networks.

    Parameters
    ----------
    base
        The model that the adapter was trained on.
    checkpoint
        The adapter's folder.

    Raises
    ------
    EncoderError
        If the folder is incomplete, the adapter is for another model or another state of it, or
        it changes nothing in this one.
    MissingDependencyError
        If PEFT is not installed.
    """
    if find_spec("peft") is None:
        raise MissingDependencyError("peft", f"to load the adapter {checkpoint.name}", "tune")
    notes = checkpoint.optional_json(NOTES)
    wanted = notes.get("base", {}).get("fingerprint")
    if wanted is not None and wanted != base.fingerprint.digest:
        raise checkpoint.error(
            f"the adapter was trained on {notes['base'].get('name')} in the version "
            f"{wanted}, and what is here is {base.fingerprint.digest}. Load the base in that "
            "version, or train anew"
        )
    if not checkpoint.has(WEIGHTS):
        raise checkpoint.error(f"{WEIGHTS} is missing")
    revision = f"{base.fingerprint.revision}+{checkpoint.revision}"
    fingerprint = replace(base.fingerprint, revision=revision)
    networks = {
        network.modality: replace(
            network,
            key=f"{fingerprint.digest}-{network.modality}",
            build=partial(_built, network, checkpoint),
        )
        for network in (base.image_network, base.text_network)
    }
    return replace(
        base,
        name=checkpoint.name,
        fingerprint=fingerprint,
        image_network=networks["image"],
        text_network=networks["text"],
        read_logit_terms=_terms(notes, base),
    )


def base_of(checkpoint: Checkpoint) -> str:
    """Return the name of what an adapter was trained on, as `pareja.encoders.load` takes it.

    Raises
    ------
    EncoderError
        If its files name none.
    """
    named = checkpoint.optional_json(NOTES).get("base", {}).get("name")
    repository = checkpoint.optional_json(CONFIG).get("base_model_name_or_path", "")
    known = {card.repository: card.name for card in list_models() if card.repository}
    base = named or known.get(repository, repository)
    if not base:
        raise checkpoint.error("its files name no base model")
    return str(base)


def _terms(notes: Mapping[str, Any], base: NetworkDualEncoder) -> Callable[[], tuple[float, float]]:
    if "logit_scale" in notes:
        return lambda: (float(notes["logit_scale"]), float(notes.get("logit_bias", 0.0)))
    return base.read_logit_terms


def _built(network: Network, checkpoint: Checkpoint) -> torch.nn.Module:
    """Build a network of the base, and merge the adapter's part for it into its weights."""
    import peft
    from safetensors.torch import load_file

    module = network.build()
    config = peft.PeftConfig.from_pretrained(str(checkpoint.folder))
    names = {name for name, _ in module.named_modules()}
    weights = {
        key: value
        for key, value in load_file(checkpoint.folder / WEIGHTS).items()
        if _owner(key) in names
    }
    if not weights:
        return module
    owners = {_owner(key) for key in weights}
    saved = set(config.modules_to_save or ())
    config.target_modules = sorted(o for o in owners if o.rpartition(".")[2] not in saved)
    # Names that are not in this tower would be an error.
    config.modules_to_save = sorted(saved & {o.rpartition(".")[2] for o in owners}) or None
    model = wrapped(module, config)
    outcome: Any = peft.set_peft_model_state_dict(model, weights)
    if outcome.unexpected_keys:
        raise checkpoint.error(
            f"{len(outcome.unexpected_keys)} of its weights have no place in the model, "
            f"{min(outcome.unexpected_keys)} for one"
        )
    merged: torch.nn.Module = model.merge_and_unload().eval().requires_grad_(False)
    return merged


def wrapped(module: torch.nn.Module, config: Any) -> Any:
    """Return a network with the adapters of a PEFT configuration in it."""
    import peft

    # It is loaded already; PEFT would warn that it has another name.
    config.base_model_name_or_path = None
    with warnings.catch_warnings():
        # PEFT 0.21 asks transformers 5.23 for an attribute by its old name.
        warnings.simplefilter("ignore", FutureWarning)
        return peft.get_peft_model(module, config)


def _owner(key: str) -> str:
    """Return the name of the module that a weight of an adapter file is for."""
    name = key.removeprefix(_PREFIX)
    for mark in (".lora_", ".modules_to_save."):
        name = name.partition(mark)[0] if mark in name else name
    return name.removesuffix(".weight").removesuffix(".bias")
