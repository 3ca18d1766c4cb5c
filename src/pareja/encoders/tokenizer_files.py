"""The files that hold a model's tokenizer, whichever library wrote them."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pareja.encoders.checkpoint import Checkpoint, require
from pareja.encoders.tokenisation import Cleaning, Tokeniser, token_text
from pareja.errors import ParejaError

VOCABULARIES = (
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
"""What a tokenizer without ``tokenizer.json`` is made from."""

# What transformers' classes of tokenizers take for settings that are left out.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "Siglip": {"model_max_length": 64, "pad_token": "</s>", "do_lower_case": True},
    "Siglip2": {"pad_token": "<pad>"},
    "Gemma": {"pad_token": "<pad>"},
    "Tipsv2": {"model_max_length": 64, "pad_token": "<pad>", "do_lower_case": True},
}
# Which class a model has if none is named; the others have no settings that matter here.
_KINDS = {"bert": "Bert", "distilbert": "DistilBert", "mpnet": "MPNet", "electra": "Electra"}
_BERTS = {*_KINDS.values()}
_GEMMA = {"Siglip2", "Gemma"}
_SPACED = {"XLMRoberta", "Roberta", "Camembert"}
# The tokens that stand before and after every text.
_ENDS = {
    **dict.fromkeys(("CLIP", "XLMRoberta", *_GEMMA), ("bos", "eos")),
    **dict.fromkeys(_BERTS, ("cls", "sep")),
}
_SPECIAL = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_FLAGS = ("lstrip", "rstrip", "normalized", "single_word", "special")


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
    kind = "Siglip" if cleaning == "canonical" else _kind(checkpoint, settings)
    settings = _DEFAULTS.get(kind, {}) | settings
    if kind == "Siglip" and not settings["do_lower_case"]:
        raise checkpoint.error("tokenizer_config.json has do_lower_case = false: not supported")
    backend = _backend(checkpoint, kind, settings)
    own_limit = limit if binding else settings.get("model_max_length") or limit
    filling, cutting = backend.padding or {}, backend.truncation or {}
    side = settings.get("padding_side") or filling.get("direction")
    pad = token_text(settings.get("pad_token")) or filling.get("pad_token")
    if pad_id is None:
        fallback = checkpoint.optional_json("config.json").get("pad_token_id")
        pad_id = fallback if pad is None else backend.token_to_id(pad)
    if pad_to_max and side == "left":
        raise checkpoint.error("its tokenizer pads on the left, which is not supported")
    if pad_to_max and side is None and kind in _GEMMA:
        raise checkpoint.error(
            "tokenizer_config.json has no padding_side, for which transformers takes the left one, "
            'and SigLIP 2 was trained with the right one. Write "padding_side": "right" there'
        )
    if pad_to_max and pad_id is None:
        raise checkpoint.error(
            f"tokenizer_config.json has the pad_token {pad!r}, which the tokenizer does not know. "
            "Its texts are padded to full length: name the token that it was trained with"
        )
    return Tokeniser(
        checkpoint.name,
        backend,
        max_length=min(limit, int(own_limit)),
        pad_id=pad_id or 0,
        pad_to_max=pad_to_max,
        cut=settings.get("truncation_side") or cutting.get("direction", "right"),
        cleaning=cleaning,
        prefix=prefix,
    )


def _backend(checkpoint: Checkpoint, kind: str, settings: dict[str, Any]) -> Any:
    """Return a ``tokenizers.Tokenizer``, as the settings say."""
    purpose = f"to read the tokenizer of {checkpoint.name}"
    require("tokenizers", purpose=purpose)
    import tokenizers

    file = checkpoint.folder / "tokenizer.json"
    # Without a vocabulary transformers would make an empty tokenizer, silently.
    vocabulary = next((name for name in VOCABULARIES if checkpoint.has(name)), None)
    try:
        if file.is_file():
            backend = tokenizers.Tokenizer.from_file(str(file))
            _apply(checkpoint, backend, kind, settings)
            return backend
        if vocabulary is None:
            raise FileNotFoundError("there is no tokenizer.json")
        if vocabulary == "spiece.model" and checkpoint.config.get("model_type") == "siglip":
            require("protobuf", purpose=purpose)
            return _siglip(checkpoint.folder / vocabulary, settings)
        if vocabulary.endswith(".model"):
            require("protobuf", "sentencepiece", purpose=purpose)
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(
            checkpoint.folder, local_files_only=True, trust_remote_code=False
        ).backend_tokenizer
    except ParejaError:
        raise
    except Exception as error:  # tokenizers raises bare Exception
        raise checkpoint.error(f"its tokenizer is missing or cannot be read: {error}") from error


def _siglip(vocabulary: Path, settings: dict[str, Any]) -> Any:
    """Make SigLIP's tokenizer; transformers has it in Python only, and no ``tokenizers`` for it."""
    from tokenizers.processors import TemplateProcessing

    convert: Any = import_module("transformers.convert_slow_tokenizer")
    backend = convert.SpmConverter(SimpleNamespace(vocab_file=str(vocabulary))).converted()
    end = token_text(settings.get("eos_token")) or "</s>"
    backend.post_processor = TemplateProcessing(
        single=["$A", end], special_tokens=[(end, backend.token_to_id(end))]
    )
    return backend


def _kind(checkpoint: Checkpoint, settings: dict[str, Any]) -> str:
    """Return which tokenizer of transformers this is: its class without ``TokenizerFast``."""
    model_type = str(checkpoint.optional_json("config.json").get("model_type"))
    named = str(settings.get("tokenizer_class") or _KINDS.get(model_type, ""))
    return named.removesuffix("Fast").removesuffix("Tokenizer")


def _apply(checkpoint: Checkpoint, backend: Any, kind: str, settings: dict[str, Any]) -> None:
    """Let ``tokenizer_config.json`` change what ``tokenizer.json`` says, as transformers does.

    Where its versions disagree on which of the two counts, a contradiction is refused.
    """
    from tokenizers.normalizers import BertNormalizer

    if kind in _BERTS:
        backend.normalizer = BertNormalizer(
            handle_chinese_chars=bool(settings.get("tokenize_chinese_chars", True)),
            strip_accents=settings.get("strip_accents"),
            lowercase=bool(settings.get("do_lower_case", True)),
        )
        if unknown := token_text(settings.get("unk_token")):
            done = unknown == backend.model.unk_token
            _refuse_contradiction(checkpoint, "unk_token", settings, done or None)
    if kind == "Tipsv2":
        done = "Lowercase" in str(backend.normalizer)
        _refuse_contradiction(checkpoint, "do_lower_case", settings, done)
    backend.encode_special_tokens = bool(settings.get("split_special_tokens"))
    _add_tokens(backend, settings)
    if kind in _SPACED and "add_prefix_space" in settings:
        before = str(backend.pre_tokenizer)
        done = "prepend_scheme=always" in before or "add_prefix_space=True" in before
        _refuse_contradiction(checkpoint, "add_prefix_space", settings, done)
    ids = backend.encode("a").ids
    for place, key in zip((0, -1), _ENDS.get(kind, ()), strict=False):
        token = token_text(settings.get(f"{key}_token"))
        number = None if token is None else backend.token_to_id(token)
        done = number == (ids[place] if ids else None)
        if number is None:
            continue
        if kind not in _GEMMA:
            _refuse_contradiction(checkpoint, f"{key}_token", settings, done or None)
        elif f"add_{key}_token" in settings:
            _refuse_contradiction(checkpoint, f"add_{key}_token", settings, done)


def _refuse_contradiction(
    checkpoint: Checkpoint, key: str, settings: dict[str, Any], done: bool | None
) -> None:
    """Raise `EncoderError` where one file asks for what the other does not do."""
    if bool(settings[key]) != done:
        raise checkpoint.error(
            f"tokenizer_config.json has {key} = {json.dumps(settings[key])}, and tokenizer.json "
            "does otherwise. Versions of transformers disagree on which counts: correct the wrong "
            "one"
        )


def _add_tokens(backend: Any, settings: dict[str, Any]) -> None:
    """Add the special tokens that the vocabulary has, and that are not yet kept whole in a text."""
    from tokenizers import AddedToken

    extra = settings.get("extra_special_tokens") or ()
    given = [
        *(settings.get("added_tokens_decoder") or {}).values(),
        *(settings.get(f"{name}_token") for name in _SPECIAL),
        *(settings.get("additional_special_tokens") or ()),
        *(extra.values() if isinstance(extra, dict) else extra),
    ]
    known = {token.content for token in backend.get_added_tokens_decoder().values()}
    for token in given:
        text = token_text(token)
        if not text or text in known or backend.token_to_id(text) is None:
            continue
        flags = token if isinstance(token, dict) else {}
        flags = {key: bool(flags[key]) for key in _FLAGS if key in flags}
        backend.add_tokens([AddedToken(text, **({"special": True} | flags))])
        known.add(text)
