"""A model's folder on disk: its JSON files, and which weights it holds."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import Any

from platformdirs import user_cache_path

from pareja.encoders.image_processors import read_preprocessing
from pareja.encoders.preprocessing import Preprocessing
from pareja.errors import EncoderError, MissingDependencyError, OutputError
from pareja.files import atomic_write

MARKERS = ("config.json", "modules.json", "open_clip_config.json")
"""Files that describe a model; which of them it has depends on the library that wrote it."""

_LARGE = 10_000_000
_POINTER, _POINTER_SIZE = b"version https://git-lfs.github.com/spec/", 1024
_HEXADECIMAL, _SHA256_LENGTH = re.compile("[0-9a-f]{40}|[0-9a-f]{64}"), 64
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
        """Return the checkpoint of a subfolder, as sentence-transformers has them.

        Raises
        ------
        EncoderError
            If it is none: what names it comes with the model, and stays inside of it.
        """
        if is_elsewhere(part):
            raise self.error(f"modules.json names {part!r}, which is no folder of the model")
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
            return read_preprocessing(config, self.config.get("model_type"))
        except EncoderError as error:
            raise self.error(str(error).removesuffix(".")) from None

    def _image_processor(self) -> dict[str, Any]:
        """Return the settings of the image processor, from where transformers takes them."""
        nested: dict[str, Any] = self.optional_json("processor_config.json").get(
            "image_processor", {}
        )
        # Models that also hear keep those of their sounds in preprocessor_config.json.
        processor: dict[str, Any] = nested or self.read_json("preprocessor_config.json")
        return processor

    def error(self, problem: str) -> EncoderError:
        """Make the error that says what is wrong with this checkpoint."""
        return EncoderError(f"{self.name}: {problem} (in {self.folder}).")

    def check_files(self) -> None:
        """Refuse what would be read as something else than it is.

        Raises
        ------
        EncoderError
            If Git LFS left a pointer in the place of a file, one of the hub's cache is not what was
            downloaded, or there is an adapter of PEFT, which transformers applies only where
            ``peft`` is installed.
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
            if not _is_as_downloaded(path):
                raise self.error(
                    f"{part} is not the file that was downloaded: its checksum is another one. "
                    f"Remove {path.resolve()}, and fetch the model again"
                )
            if part.name == "adapter_config.json" and len(part.parts) <= 2:
                base = self.optional_json(str(part)).get("base_model_name_or_path")
                raise self.error(
                    f"{part} is of an adapter of PEFT for {base!r} beside a whole model, and "
                    "nothing says whether the weights hold it already. "
                    "Merge the two with PEFT's merge_and_unload and save the result; to use "
                    "the model without its adapter, move that file away"
                )


def _is_as_downloaded(path: Path) -> bool:
    """Tell whether a file of the hub's cache agrees with its name there; others have none.

    It is the SHA-256 of a file that Git LFS keeps, and what Git calls any other.
    """
    if not path.is_symlink():
        return True
    blob = path.resolve()
    if blob.parent.name != "blobs" or not _HEXADECIMAL.fullmatch(blob.name):
        return True
    if len(blob.name) == _SHA256_LENGTH:
        return _content_digest(blob) == blob.name
    content = blob.read_bytes()
    named = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return named.hexdigest() == blob.name


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


def folder_named(name: str) -> Path | None:
    """Return the absolute path of the folder of that name, ``~`` allowed; None where is none."""
    try:
        folder = Path(name).expanduser().absolute()
        return folder if name and folder.is_dir() else None
    except (OSError, ValueError, RuntimeError):  # too long a name, ~nobody without a home
        return None


def is_elsewhere(name: str) -> bool:
    """Return whether a name that a model's own file gives leads out of the model's folder.

    By its letters, since a model of the hub's cache is a folder of links.
    """
    path = PurePath(name)
    return path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name


def require(*packages: str, purpose: str, group: str = "models") -> None:
    """Raise `MissingDependencyError` unless packages of an optional group are installed."""
    for package in packages:
        with suppress(ModuleNotFoundError):  # the package around a module that is looked for
            if find_spec({"protobuf": "google.protobuf"}.get(package, package)) is not None:
                continue
        raise MissingDependencyError(package, purpose, group)
