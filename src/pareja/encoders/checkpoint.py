"""A model on disk: its JSON files, its tokenizer, its weights; and which encoder it is."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from platformdirs import user_cache_path

from pareja.encoders.preprocessing import Preprocessing
from pareja.encoders.tokenisation import Cleaning, Tokeniser, token_text
from pareja.errors import EncoderError, MissingDependencyError, OutputError
from pareja.files import atomic_write

if TYPE_CHECKING:
    import torch

WEIGHTS = (
    "model.safetensors",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "open_clip_pytorch_model.bin",
)
"""Files of weights, the preferred first; each may be split up, and then has an index beside it."""

VOCABULARIES = ("vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model")
"""What a tokenizer without ``tokenizer.json`` is made from."""

_LARGE = 10_000_000
_POINTER, _POINTER_SIZE = b"version https://git-lfs.github.com/spec/", 1024
_READ = {".safetensors", ".bin", ".json", ".txt", ".model"}


@dataclass(frozen=True)
class Checkpoint:
    """A folder that holds a model.

    Parameters
    ----------
    folder
        Where it is.
    name
        How messages call it.
    model
        Which model it is, for fingerprints: its repository, if it has one.
    commit
        The commit of its repository; None for a folder that comes from nowhere known.
    """

    folder: Path
    name: str
    model: str
    commit: str | None = None

    @cached_property
    def revision(self) -> str:
        """Which weights these are: the commit, or else a digest of the files themselves."""
        if self.commit is not None:
            return self.commit
        digest = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            if path.suffix in _READ and path.is_file():
                name = path.relative_to(self.folder).as_posix()
                digest.update(f"{name} {_content_digest(path)}\n".encode())
        return f"sha256:{digest.hexdigest()[:40]}"

    def inside(self, part: str) -> Checkpoint:
        """Return the checkpoint of a subfolder, as sentence-transformers has them."""
        return Checkpoint(self.folder / part, self.name, self.model, self.commit or self.revision)

    def has(self, *files: str) -> bool:
        """Whether any of these files exists."""
        return any((self.folder / file).is_file() for file in files)

    def read_json(self, file: str) -> Any:
        """Return the content of one of its JSON files.

        Raises
        ------
        EncoderError
            If the file is missing or is no JSON.
        """
        try:
            return json.loads((self.folder / file).read_text("utf-8"))
        except FileNotFoundError:
            raise self.error(f"{file} is missing") from None
        except (OSError, ValueError) as error:
            raise self.error(f"{file} cannot be read: {error}") from error

    def optional_json(self, file: str) -> dict[str, Any]:
        """Return the content of a JSON file that holds a table, or an empty one."""
        content: dict[str, Any] = self.read_json(file) if self.has(file) else {}
        return content

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of ``config.json``."""
        config: dict[str, Any] = self.read_json("config.json")
        # Of old CLIPs; transformers lets these count whole, its own defaults in them included.
        for part in ("text_config", "vision_config"):
            if config.get(f"{part}_dict") is not None:
                config[part] = config[f"{part}_dict"]
        return config

    def preprocessing(self) -> Preprocessing:
        """Read how pictures are prepared.

        Raises
        ------
        EncoderError
            If ``preprocessor_config.json`` is missing, or asks for what is not supported.
        """
        config = self._image_processor()
        try:
            return Preprocessing.from_config(config, self.config.get("model_type"))
        except EncoderError as error:
            raise self.error(str(error).removesuffix(".")) from None

    def _image_processor(self) -> dict[str, Any]:
        """Return ``preprocessor_config.json``, wherever transformers wrote it."""
        nested: dict[str, Any] = self.optional_json("processor_config.json").get(
            "image_processor", {}
        )
        if nested and not self.has("preprocessor_config.json"):
            return nested
        processor: dict[str, Any] = self.read_json("preprocessor_config.json")
        return processor

    def error(self, problem: str) -> EncoderError:
        """Make the error that says what is wrong with this checkpoint."""
        return EncoderError(f"{self.name}: {problem} (in {self.folder}).")

    def tokeniser(
        self,
        limit: int,
        *,
        pad_to_max: bool = False,
        pad_id: int | None = None,
        binding: bool = False,
        cleaning: Cleaning = "none",
        prefix: str = "",
    ) -> Tokeniser:
        """Read its tokenizer.

        Parameters
        ----------
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
        """
        settings = self.optional_json("tokenizer_config.json")
        backend = self._tokenizer_backend()
        if "add_bos_token" in settings or "add_eos_token" in settings:
            _end_tokens(backend, settings)
        own_limit = limit if binding else settings.get("model_max_length") or limit
        if pad_to_max and settings.get("padding_side") == "left":
            raise self.error("its tokenizer pads on the left, which is not supported")
        if pad_id is None:
            pad = token_text(settings.get("pad_token"))
            fallback = self.optional_json("config.json").get("pad_token_id")
            pad_id = fallback if pad is None else backend.token_to_id(pad)
        return Tokeniser(
            self.name,
            backend,
            max_length=min(limit, int(own_limit)),
            pad_id=pad_id or 0,
            pad_to_max=pad_to_max,
            cut=settings.get("truncation_side") or "right",
            cleaning=cleaning,
            prefix=prefix,
        )

    def _tokenizer_backend(self) -> Any:
        """Return a ``tokenizers.Tokenizer``."""
        require("tokenizers", purpose=f"to read the tokenizer of {self.name}")
        import tokenizers

        file = self.folder / "tokenizer.json"
        try:
            if file.is_file():
                return tokenizers.Tokenizer.from_file(str(file))
            # Without a vocabulary transformers would make an empty tokenizer, silently.
            if not self.has(*VOCABULARIES):
                raise FileNotFoundError("there is no tokenizer.json")
            from transformers import AutoTokenizer

            return AutoTokenizer.from_pretrained(
                self.folder, local_files_only=True, trust_remote_code=False
            ).backend_tokenizer
        except Exception as error:  # tokenizers raises bare Exception
            raise self.error(f"its tokenizer is missing or cannot be read: {error}") from error

    def check_files(self) -> None:
        """Refuse what would be read as something else than it is.

        Raises
        ------
        EncoderError
            If Git LFS left a pointer in the place of a file, or there is an adapter of PEFT, which
            transformers applies only where ``peft`` is installed.
        """
        for path in sorted(self.folder.rglob("*")):
            if path.suffix not in _READ or not path.is_file():
                continue
            part = path.relative_to(self.folder)
            if path.stat().st_size < _POINTER_SIZE and path.read_bytes().startswith(_POINTER):
                raise self.error(
                    f"{part} is a Git LFS pointer and not the file itself. Get the files with: "
                    f"git -C {self.folder} lfs pull"
                )
            if part.name == "adapter_config.json" and len(part.parts) <= 2:
                base = self.optional_json(str(part)).get("base_model_name_or_path")
                raise self.error(
                    f"{part} is of an adapter of PEFT for {base!r} beside a whole model, and "
                    "nothing says whether the weights hold it already. "
                    "Merge the two with PEFT's merge_and_unload and save the result; to use "
                    "the model without its adapter, move that file away"
                )

    def check_weights(self) -> None:
        """Refuse a folder without weights.

        Raises
        ------
        EncoderError
            If there are none that torch or safetensors reads.
        """
        if not self.has(*WEIGHTS, *(f"{file}.index.json" for file in WEIGHTS)):
            raise self.error(f"its weights are missing: there is no {WEIGHTS[0]}")

    def scalar(self, key: str) -> float | None:
        """Read one number of the weights, without the rest; None where there is no such key."""
        for single in WEIGHTS:
            index = f"{single}.index.json"
            file = self.read_json(index)["weight_map"].get(key) if self.has(index) else single
            if file is None or not self.has(file):
                continue
            if file.endswith(".safetensors"):
                value = self._safetensors_scalar(file, key)
            else:
                tensor = self._unpickle(file).get(key)
                value = None if tensor is None else float(tensor)
            if value is not None:
                return value
        return None

    def logit_terms(self, highest: float = math.inf) -> tuple[float, float]:
        """Read what a dual encoder multiplies cosine similarities by, and what it adds then.

        Parameters
        ----------
        highest
            Where the factor is cut off.

        Raises
        ------
        EncoderError
            If the weights have no ``logit_scale``.
        """
        logarithm = self.scalar("logit_scale")
        if logarithm is None:
            raise self.error("its weights have no logit_scale, as every dual encoder has")
        return min(math.exp(logarithm), highest), self.scalar("logit_bias") or 0.0

    def _safetensors_scalar(self, file: str, key: str) -> float | None:
        """Read a number by way of the file's header, needing neither torch nor its bfloat16."""
        try:
            with (self.folder / file).open("rb") as stream:
                size = int.from_bytes(stream.read(8), "little")
                entry = json.loads(stream.read(size)).get(key)
                if entry is None:
                    return None
                start, end = entry["data_offsets"]
                stream.seek(8 + size + start)
                content = stream.read(end - start)
            if entry["dtype"] == "BF16":  # the upper half of a float32
                return float(np.frombuffer(b"\0\0" + content, dtype="<f4").item())
            kinds = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
            return float(np.frombuffer(content, dtype=kinds[entry["dtype"]]).item())
        except (OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
            raise self.error(f"{file} is broken: {error}") from error

    def read_weights(self) -> dict[str, torch.Tensor]:
        """Read the weights of a small layer that is no transformers model.

        Raises
        ------
        EncoderError
            If they are missing, broken, or only readable by running code.
        """
        self.check_weights()
        if not self.has(WEIGHTS[0]):
            weights = self._unpickle("pytorch_model.bin")
        else:
            from safetensors.torch import load_file

            try:
                weights = load_file(self.folder / WEIGHTS[0])
            except Exception as error:  # safetensors' own error has Exception as its only base
                raise self.unreadable(error) from error
        self.refuse_broken(weights)
        return weights

    def _unpickle(self, file: str) -> dict[str, torch.Tensor]:
        """Read pickled weights, running none of their code."""
        import torch

        try:
            weights: dict[str, torch.Tensor] = torch.load(
                self.folder / file,
                map_location="cpu",
                weights_only=True,
                mmap=zipfile.is_zipfile(self.folder / file),  # the format since torch 1.6
            )
        except Exception as error:  # pickle and zip errors share no base
            raise self.unreadable(error) from error
        return weights

    def load(self, changes: Mapping[str, Any] = MappingProxyType({})) -> torch.nn.Module:
        """Load the transformers model in float32, in evaluation mode.

        Parameters
        ----------
        changes
            Attributes and methods that replace those of the model's class.

        Raises
        ------
        EncoderError
            If the weights are missing, incomplete, broken, or only readable by running code.
        """
        from transformers import MODEL_MAPPING, AutoConfig

        with _quiet_transformers():
            try:
                # False and not left out: then transformers would ask on the terminal.
                config = AutoConfig.from_pretrained(
                    self.folder, local_files_only=True, trust_remote_code=False
                )
                whole: Any = MODEL_MAPPING[type(config)]
                # transformers renames the weights of older checkpoints only for classes that seem
                # to be its own.
                origin = {"__module__": whole.__module__}
                changed: Any = type(whole.__name__, (whole,), origin | dict(changes))
                model, loading = changed.from_pretrained(
                    self.folder,
                    config=config,
                    local_files_only=True,
                    output_loading_info=True,
                    ignore_mismatched_sizes=True,
                    dtype="float32",
                )
            except Exception as error:  # what transformers raises here is not documented
                raise self.unreadable(error) from error
        # The pooler of BERT and ViT is not used, and many checkpoints come without it.
        unfit = [key for key in loading["missing_keys"] if not key.startswith("pooler.")]
        unfit += [str(key) for key in loading["mismatched_keys"]]
        if unfit:
            raise self.error(
                f"its weights do not fit its config.json: {len(unfit)} tensors are missing or of "
                f"another shape, {min(unfit)} for one"
            )
        module: torch.nn.Module = model.eval().requires_grad_(False)
        self.refuse_broken(module.state_dict())
        return module

    def refuse_broken(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Raise `EncoderError` if one of its weights is NaN or infinite."""
        import torch

        for name, tensor in weights.items():
            if tensor.numel() and tensor.is_floating_point():
                extremes = torch.stack(torch.aminmax(tensor))  # NaN if there is one
                if not torch.isfinite(extremes).all():
                    raise self.error(
                        f"its weights are broken: {name} holds numbers that are not finite (NaN or "
                        "infinity), as after training that overflowed. Fetch or save it again"
                    )

    def unreadable(self, error: Exception) -> EncoderError:
        """Make the error that says why the weights cannot be loaded."""
        if isinstance(error, UnpicklingError):
            return self.error(
                "its weights cannot be loaded: they are pickled and hold more than tensors, so "
                "that reading them could run code. Convert them to safetensors"
            )
        reason = str(error).strip().partition("\n")[0]
        return self.error(f"its weights cannot be loaded: {reason or type(error).__name__}")


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Keep transformers from writing progress bars and reports to the terminal."""
    logging = import_module("transformers.utils.logging")
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _content_digest(path: Path) -> str:
    """Return the SHA-256 of a file, remembered for large ones until they change."""
    stat = path.stat()
    remembered = None
    if stat.st_size > _LARGE:
        key = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
        name = hashlib.sha256(key.encode()).hexdigest()
        remembered = user_cache_path("pareja") / "digests" / name
        with suppress(OSError):
            return remembered.read_text()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if remembered is not None:
        with suppress(OutputError):
            atomic_write(remembered, digest, force=True)
    return digest


def require(*packages: str, purpose: str) -> None:
    """Raise `MissingDependencyError` unless packages of the group ``models`` are installed."""
    for package in packages:
        if find_spec(package) is None:
            raise MissingDependencyError(package, purpose, "models")


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
