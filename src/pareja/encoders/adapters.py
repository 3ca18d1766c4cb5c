"""Adapters: what PEFT has learned for a model, in a folder of its own beside or without the model.

A folder in PEFT's layout holds ``adapter_config.json`` and ``adapter_model.safetensors``; what it
adapts is named inside, and loaded first. `pareja tune` writes ``pareja.json`` beside them: the
base's name and fingerprint, and the logits' scale and bias where they were trained.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from pareja.encoders.backends.network import Modality, Network
from pareja.encoders.catalogue import list_models
from pareja.encoders.checkpoint import Checkpoint
from pareja.encoders.fused import NetworkFusedEncoder
from pareja.encoders.protocols import EncoderPair
from pareja.encoders.towers import NetworkDualEncoder, NetworkImageEncoder, NetworkTextEncoder
from pareja.errors import EncoderError, MissingDependencyError

if TYPE_CHECKING:
    import torch

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
NOTES = "pareja.json"

_PREFIX = "base_model.model."

# What the other tower of a dual encoder begins with, in transformers' CLIP, SigLIP, MetaCLIP 2 and
# AIMv2.
_TOPS: Mapping[Modality, tuple[str, ...]] = {
    "image": ("text_model", "text_projection"),
    "text": ("vision_model", "visual_projection"),
    "regions": ("text_model", "text_projection"),
}

Networks = TypeVar("Networks", bound=NetworkImageEncoder | NetworkTextEncoder)


def adapted(base: Networks, checkpoint: Checkpoint) -> Networks:
    """Return an encoder with an adapter in its networks.

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
    if isinstance(base, NetworkFusedEncoder):
        raise checkpoint.error(
            f"it is an adapter of {base.name}, whose pictures and texts share one network: not "
            "supported"
        )
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
    # Nobody knows whether the first numbers still matter more than the others.
    changes: dict[str, Any] = {"name": checkpoint.name, "fingerprint": fingerprint, "dims": ()}
    for field in ("image_network", "text_network", "region_network"):
        network: Network | None = getattr(base, field, None)
        if network is not None:
            others = _TOPS[network.modality] if isinstance(base, NetworkDualEncoder) else ()
            changes[field] = replace(
                network,
                key=f"{fingerprint.digest}-{network.modality}",
                build=partial(_built, network, checkpoint, others),
            )
    if isinstance(base, NetworkDualEncoder):
        changes["read_logit_terms"] = _terms(notes, base)
        changes["loss"] = notes.get("loss", base.loss)
    return replace(base, **changes)


def in_halves(pair: EncoderPair, checkpoint: Checkpoint) -> EncoderPair:
    """Return a pair with the adapters that lie in the folders ``image`` and ``text`` of another.

    Raises
    ------
    EncoderError
        As `adapted`, or if that half of the pair is not made of a network.
    """
    halves: dict[str, Any] = {}
    for part in ("image", "text"):
        half = getattr(pair, f"{part}_encoder")
        if checkpoint.has(f"{part}/{CONFIG}"):
            if not isinstance(half, NetworkImageEncoder | NetworkTextEncoder):
                raise checkpoint.error(f"its adapter in {part} is for a network of transformers")
            name = f"{checkpoint.name}/{part}"
            inner = Checkpoint(checkpoint.folder / part, name, name, checkpoint.commit)
            halves[f"{part}_encoder"] = adapted(half, inner)
    return replace(pair, **halves)


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


def _built(network: Network, checkpoint: Checkpoint, others: Collection[str]) -> torch.nn.Module:
    """Build a network of the base, and merge the adapter's part for it into its weights."""
    import peft
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    module = network.build()
    place, core = core_of(module)
    config = peft.PeftConfig.from_pretrained(str(checkpoint.folder))
    names = {name for name, _ in core.named_modules()}
    try:
        every = load_file(checkpoint.folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise checkpoint.error(f"{WEIGHTS} cannot be read: {error}") from error
    weights = {key: value for key, value in every.items() if _owner(key) in names}
    strange = [
        key for key in every if key not in weights and _owner(key).partition(".")[0] not in others
    ]
    if strange:
        raise _misplaced(checkpoint, strange)
    if not weights:
        return module
    owners = {_owner(key) for key in weights}
    saved = set(config.modules_to_save or ())
    config.target_modules = sorted(o for o in owners if o.rpartition(".")[2] not in saved)
    # Names that are not in this tower would be an error.
    config.modules_to_save = sorted(saved & {o.rpartition(".")[2] for o in owners}) or None
    model = wrapped(core, config)
    try:
        outcome: Any = peft.set_peft_model_state_dict(model, weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise checkpoint.error(f"its weights do not fit the model: {reason}") from error
    if outcome.unexpected_keys:
        raise _misplaced(checkpoint, outcome.unexpected_keys)
    merged: torch.nn.Module = model.merge_and_unload().eval().requires_grad_(False)
    return with_core(module, place, merged)


def _misplaced(checkpoint: Checkpoint, keys: Sequence[str]) -> EncoderError:
    return checkpoint.error(
        f"{len(keys)} of its weights have no place in the model, {min(keys)} for one"
    )


def core_of(module: torch.nn.Module) -> tuple[str, torch.nn.Module]:
    """Return the network that an adapter names its layers in, and which part of another it is.

    That is transformers' own: what sentence-transformers puts behind it is no part of it.
    """
    from pareja.encoders.sentence_network import SentenceNetwork

    if isinstance(module, SentenceNetwork):
        return "transformer", module.transformer
    return "", module


def with_core(module: torch.nn.Module, place: str, core: torch.nn.Module) -> torch.nn.Module:
    """Return a network with another in the place that `core_of` named."""
    if not place:
        return core
    setattr(module, place, core)
    return module


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
