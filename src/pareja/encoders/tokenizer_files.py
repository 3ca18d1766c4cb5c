"""The files that hold a model's tokenizer, whichever library wrote them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pareja.encoders.checkpoint import Checkpoint, require
from pareja.encoders.tokenisation import Cleaning, Tokeniser, token_text
from pareja.errors import MissingDependencyError

VOCABULARIES = (
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
"""What a tokenizer without ``tokenizer.json`` is made from."""

# What transformers' SiglipTokenizer takes for settings that are left out.
_SIGLIP = {"model_max_length": 64, "pad_token": "</s>"}


def read_tokeniser(
    checkpoint: Checkpoint,
    limit: int,
    *,
    pad_to_max: bool = False,
    pad_id: int | None = None,
    binding: bool = False,
    cleaning: Cleaning = "none",
    prefix: str = "",
) -> Tokeniser:
    """Read the tokenizer of a model.

    Parameters
    ----------
    checkpoint
        The model's folder.
    limit
        Tokens that the network reads at most.
    binding
        Whether that counts although the tokenizer's own limit is lower.
    pad_to_max
        Whether every text is padded to the limit, not to the longest of its batch.
    pad_id
        Fills up the shorter texts; by default that of the tokenizer's own padding token.
    cleaning
        What is done to a text before: nothing, lower case, or SigLIP's canonical form.
    prefix
        Put before every text.

    Raises
    ------
    EncoderError
        If there is no tokenizer, or it is broken.
    MissingDependencyError
        If a package that reads its files is not installed.
    """
    settings = checkpoint.optional_json("tokenizer_config.json")
    if cleaning == "canonical":
        settings = _SIGLIP | settings
    backend = _backend(checkpoint)
    if "add_bos_token" in settings or "add_eos_token" in settings:
        _end_tokens(backend, settings)
    own_limit = limit if binding else settings.get("model_max_length") or limit
    if pad_to_max and settings.get("padding_side") == "left":
        raise checkpoint.error("its tokenizer pads on the left, which is not supported")
    if pad_id is None:
        pad = token_text(settings.get("pad_token"))
        fallback = checkpoint.optional_json("config.json").get("pad_token_id")
        pad_id = fallback if pad is None else backend.token_to_id(pad)
    return Tokeniser(
        checkpoint.name,
        backend,
        max_length=min(limit, int(own_limit)),
        pad_id=pad_id or 0,
        pad_to_max=pad_to_max,
        cut=settings.get("truncation_side") or "right",
        cleaning=cleaning,
        prefix=prefix,
    )


def _backend(checkpoint: Checkpoint) -> Any:
    """Return a ``tokenizers.Tokenizer``."""
    purpose = f"to read the tokenizer of {checkpoint.name}"
    require("tokenizers", purpose=purpose)
    import tokenizers

    file = checkpoint.folder / "tokenizer.json"
    # Without a vocabulary transformers would make an empty tokenizer, silently.
    vocabulary = next((name for name in VOCABULARIES if checkpoint.has(name)), None)
    try:
        if file.is_file():
            return tokenizers.Tokenizer.from_file(str(file))
        if vocabulary is None:
            raise FileNotFoundError("there is no tokenizer.json")
        if vocabulary == "spiece.model" and checkpoint.config.get("model_type") == "siglip":
            require("protobuf", purpose=purpose)
            return _siglip(checkpoint.folder / vocabulary)
        if vocabulary.endswith(".model"):
            require("protobuf", "sentencepiece", purpose=purpose)
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(
            checkpoint.folder, local_files_only=True, trust_remote_code=False
        ).backend_tokenizer
    except MissingDependencyError:
        raise
    except Exception as error:  # tokenizers raises bare Exception
        raise checkpoint.error(f"its tokenizer is missing or cannot be read: {error}") from error


def _siglip(vocabulary: Path) -> Any:
    """Make SigLIP's tokenizer; transformers has it in Python only, and no ``tokenizers`` for it."""
    convert: Any = import_module("transformers.convert_slow_tokenizer")
    backend = convert.SpmConverter(SimpleNamespace(vocab_file=str(vocabulary))).converted()
    _end_tokens(backend, {"eos_token": "</s>", "add_eos_token": True})
    return backend


def _end_tokens(backend: Any, settings: dict[str, Any]) -> None:
    """Make the tokenizer add the tokens that ``tokenizer_config.json`` says (Gemma, SigLIP 2)."""
    from tokenizers.processors import TemplateProcessing

    parts, special = ["$A"], []
    for key, place in (("bos", 0), ("eos", 2)):
        token = token_text(settings.get(f"{key}_token"))
        number = None if token is None else backend.token_to_id(token)
        if settings.get(f"add_{key}_token") and number is not None:
            parts.insert(place, str(token))
            special.append((token, number))
    backend.post_processor = TemplateProcessing(single=parts, special_tokens=special)
