"""Which files a model consists of, and whether all of them are there."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from pareja.encoders.checkpoint import Checkpoint, is_elsewhere
from pareja.encoders.tokenizer_files import VOCABULARIES

WEIGHTS = (
    "model.safetensors",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "open_clip_pytorch_model.bin",
)
"""Files of weights, the preferred first; each may be split up, and then has an index beside it."""

_SPLIT = re.compile(r"-\d{5}-of-\d{5}(?=\.)")
_OF_OTHERS = {".onnx", ".gguf", ".h5", ".msgpack", ".ckpt", ".pt", ".pth", ".tflite", ".xml"}
# Other folders hold the same weights for other runtimes (onnx/, openvino/); these are the parts
# of a sentence-transformers model.
_PARTS = re.compile(r"^\d+_\w+/[^/]+$")
_WEIGHTY = ("Transformer", "CLIPModel", "Dense")


def whole_name(path: str) -> str:
    """Return the name of a file, without the number that a part of several has.

    Examples
    --------
    >>> whole_name("text/model-00002-of-00003.safetensors")
    'model.safetensors'
    """
    return _SPLIT.sub("", Path(path).name)


def missing_file(folder: Path) -> str | None:
    """Return the first file that a model's folder lacks, relative to it; None if it is complete.

    Parts of the weights, the weights of every module of sentence-transformers, and files that are
    links to nothing count.
    """
    broken = (path for path in folder.rglob("*") if path.is_symlink() and not path.exists())
    lacking = min(broken, default=None)
    if lacking is None:
        found = ((part, _missing_weights(part)) for part in _parts(folder))
        lacking = next((part / name for part, name in found if name is not None), None)
    return None if lacking is None else lacking.relative_to(folder).as_posix()


def require_weights(checkpoint: Checkpoint) -> None:
    """Refuse a folder without weights, or with a part of them.

    Raises
    ------
    EncoderError
        If a file is missing. The message names it, and weights that only other programs read.
    """
    lacking = _missing_weights(checkpoint.folder)
    if lacking is None:
        return
    if lacking == WEIGHTS[0]:
        other = of_other_programs(checkpoint.folder)
        only = f", and {other} is for other programs" if other else ""
        raise checkpoint.error(f"its weights are missing: there is no {lacking}{only}")
    raise checkpoint.error(
        f"its weights are incomplete: {lacking} is missing. Copy or download that file too"
    )


def of_other_programs(folder: Path) -> str | None:
    """Return a file with weights that pareja does not read, relative to the folder, if any."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return min(filter(is_of_other_programs, names), default=None)


def is_of_other_programs(name: str) -> bool:
    """Return whether a file's name is one of weights that pareja does not read, as ONNX."""
    return Path(name).suffix in _OF_OTHERS


def needed_files(names: Collection[str], loader: str | None) -> frozenset[str]:
    """Choose the files of an encoder, with one format of the weights in each folder.

    Parameters
    ----------
    names
        The files of a repository.
    loader
        What reads them, as a card of the catalogue says: ``"open_clip"`` or another.
    """
    # Beside the weights of open_clip, a model.safetensors holds the image tower alone, for timm.
    preferred = sorted(WEIGHTS, key=lambda name: loader == "open_clip" and "open_clip" not in name)
    ranks = {name: rank for rank, name in enumerate(preferred)}
    best: dict[str, int] = {}
    for path in names:
        if whole_name(path) in ranks:
            folder = path.rpartition("/")[0]
            rank = ranks[whole_name(path)]
            best[folder] = min(best.get(folder, rank), rank)
    needed = set()
    for path in names:
        folder, _, name = path.rpartition("/")
        if folder and not _PARTS.match(path):
            continue
        if whole_name(name) in ranks:
            chosen = ranks[whole_name(name)] == best[folder]
        elif name.endswith(".index.json"):
            chosen = ranks.get(name.removesuffix(".index.json")) == best.get(folder, -1)
        else:
            chosen = name.endswith(".json") or name in {*VOCABULARIES, "merges.txt"}
        if chosen:
            needed.add(path)
    return frozenset(needed)


def _missing_weights(folder: Path) -> str | None:
    for whole in WEIGHTS:
        if (folder / whole).is_file():
            return None
        index = folder / f"{whole}.index.json"
        if index.is_file():
            try:
                names = {*json.loads(index.read_text("utf-8"))["weight_map"].values()}
            except (OSError, ValueError, LookupError, TypeError, AttributeError):
                return index.name
            return next(
                (
                    name
                    for name in sorted(names)
                    if is_elsewhere(name) or not (folder / name).is_file()
                ),
                None,
            )
    split = sorted(path.name for path in folder.glob("*-of-*") if whole_name(path.name) in WEIGHTS)
    return f"{whole_name(split[0])}.index.json" if split else WEIGHTS[0]


def _parts(folder: Path) -> Iterator[Path]:
    """Yield the folders that have weights of their own: the modules of sentence-transformers."""
    try:
        modules = json.loads((folder / "modules.json").read_text("utf-8"))
        named = [(str(module["type"]), str(module["path"])) for module in modules]
    except (OSError, ValueError, LookupError, TypeError):
        named = [("Transformer", "")]
    for kind, part in named:
        if kind.rpartition(".")[2] in _WEIGHTY and not is_elsewhere(part):
            yield folder / part
