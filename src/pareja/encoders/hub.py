"""Models from the Hugging Face hub: find those that are here, and download others.

Everything goes through ``huggingface_hub``, into its own cache, so that other programs on this
machine find what was downloaded. What it does not do itself is added here: a file that was
broken off goes on where it stopped, even in a new process, and its checksum is verified.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pareja.addresses import REPOSITORY
from pareja.encoders.catalogue import find_card, suggestions
from pareja.encoders.checkpoint import MARKERS, require
from pareja.encoders.model_files import (
    WEIGHTS,
    is_of_other_programs,
    missing_file,
    needed_files,
    of_other_programs,
    whole_name,
)
from pareja.encoders.transfer import RemoteFile, download, explained, stored_at
from pareja.errors import EncoderError, ModelUnavailableError, OutputError, UnknownModelError

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that are here so far, and the bytes of the whole model."""

# What Git allows in the name of a branch, without the parts that would lead out of a folder.
_REPOSITORY = re.compile(rf"{REPOSITORY}(@[\w-][\w.-]*(/[\w-][\w.-]*)*)?", re.ASCII)
# Both become parts of paths: a server may say what it likes.
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Plan:
    """What fetching a model means.

    Parameters
    ----------
    name
        As it was asked for.
    repository, commit
        Where it comes from, and which version of it.
    licence
        As its repository says, or its card; None if neither does.
    files
        What is needed of it.
    missing
        How many bytes of them are not here yet.
    """

    name: str
    repository: str
    commit: str
    licence: str | None
    files: tuple[RemoteFile, ...]
    missing: int

    @property
    def size(self) -> int:
        """Size of all files, in bytes."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class Snapshot:
    """A model that is on this machine.

    Parameters
    ----------
    name
        As it was asked for.
    repository, commit
        Where it came from, and which version of it.
    folder
        Where its files are.
    """

    name: str
    repository: str
    commit: str
    folder: Path

    @property
    def size(self) -> int:
        """Size of its files, in bytes."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def status(name: str) -> Snapshot | None:
    """Return where a model is on this machine, or None if it is not, or not completely.

    Parameters
    ----------
    name
        A name of the catalogue, ``owner/repo`` or ``owner/repo@revision``.

    Raises
    ------
    UnknownModelError
        If nothing can have that name.
    """
    found = _started(name)
    # Weights are fetched first, so that these files tell that a download came to its end.
    if not any((found.folder / marker).is_file() for marker in MARKERS):
        return None
    return found if missing_file(found.folder) is None else None


def snapshot(name: str) -> Snapshot:
    """Return where a model is on this machine.

    Raises
    ------
    UnknownModelError
        If nothing can have that name.
    ModelUnavailableError
        If it is not there. The message says what to download, how large it is, and how.
    """
    found = status(name)
    if found is not None:
        return found
    folder = _started(name).folder
    if not folder.is_dir():
        raise unavailable(name)
    lacking = missing_file(folder) or MARKERS[0]
    other = of_other_programs(folder)
    held = f", and {other} is for other programs" if other and lacking in WEIGHTS else ""
    raise ModelUnavailableError(
        f"{name} is only partly on this machine: {lacking} is missing{held} (in {folder}). "
        f"Download the rest with: pareja models fetch {name}"
        f"{'. If the repository has none, name the one that it was made from' if held else ''}"
    )


def _started(name: str) -> Snapshot:
    """Return where a model is, as far as it was downloaded."""
    repository, revision = _target(name)
    stored = _stored(repository)
    reference = stored / "refs" / revision
    commit = reference.read_text().strip() if reference.is_file() else revision
    return Snapshot(name, repository, commit, stored / "snapshots" / commit)


def unavailable(*names: str) -> ModelUnavailableError:
    """Return the error that says of one model, or of both of a pair, how to download them."""
    described = " and ".join(map(_described, names))
    fetch = f"pareja models fetch {'+'.join(names)}"
    if len(names) == 1 and find_card(names[0]) is None:
        return ModelUnavailableError(
            f"{names[0]} is not on this machine: there is no such folder here, and {described} "
            f"was not fetched. If that is what you mean, download it with: {fetch}"
        )
    if len(names) == 1:
        return ModelUnavailableError(
            f"{names[0]} is not on this machine. It is {described}. Download it with: {fetch}"
        )
    return ModelUnavailableError(
        f"{' and '.join(names)} are not on this machine. They are {described}. "
        f"Download both with: {fetch}"
    )


def plan(name: str) -> Plan:
    """Ask the hub what fetching a model would take, and download nothing.

    Raises
    ------
    UnknownModelError
        If nothing can have that name.
    ModelUnavailableError
        If the hub cannot be reached, or does not have or give the model.
    EncoderError
        If the repository holds no weights that can be read.
    """
    require("huggingface_hub", purpose=f"to download {name}")
    from huggingface_hub import HfApi

    repository, revision = _target(name)
    with _explained(name):
        model = HfApi().model_info(repository, revision=revision, files_metadata=True)
    card = find_card(name)
    listed = _listed(model)
    needed = needed_files([file.path for file in listed], card.loader if card else None)
    files = tuple(file for file in listed if file.path in needed)
    if not any(whole_name(file.path) in WEIGHTS for file in files):
        other = next((file.path for file in listed if is_of_other_programs(file.path)), None)
        held = f" It has {other}, which is for other programs." if other else ""
        raise EncoderError(
            f"{repository} is no encoder that can be used here: it has no weights named "
            f"{' or '.join(WEIGHTS)}.{held} Name the repository that it was made from."
        )
    tags = [tag.removeprefix("license:") for tag in model.tags or [] if tag.startswith("license:")]
    commit = str(model.sha)
    large = [file.sha256 for file in files if file.sha256 is not None]
    if not (_COMMIT.fullmatch(commit) and all(map(_SHA256.fullmatch, large))):
        raise ModelUnavailableError(
            f"{name} cannot be downloaded: the hub names a version or a checksum of {repository} "
            "that has not the form of one. Check HF_ENDPOINT, which says where the hub is."
        )
    here = _stored(repository) / "snapshots" / commit
    return Plan(
        name=name,
        repository=repository,
        commit=commit,
        licence=card.licence if card else next(iter(tags), None),
        files=files,
        missing=sum(file.size for file in files if not (here / file.path).is_file()),
    )


def check_room(plans: Sequence[Plan]) -> None:
    """Refuse models that the disk or the memory of this machine is too small for, together.

    Raises
    ------
    ModelUnavailableError
        If there is not enough of either. The message says how much is needed.
    """
    names = " and ".join(wanted.name for wanted in plans)
    need = "needs" if len(plans) == 1 else "need"
    missing = sum(wanted.missing for wanted in plans)
    cache = _cache()
    place = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free < missing:
        raise ModelUnavailableError(
            f"{names} {need} {_megabytes(missing)} more on the disk of {place}, which "
            f"has {_megabytes(free)} free. Make room, or set HF_HOME to another disk."
        )
    files = [file for wanted in plans for file in wanted.files]
    weights = sum(file.size for file in files if whole_name(file.path) in WEIGHTS)
    memory = _memory()
    if memory is not None and weights > memory:
        raise ModelUnavailableError(
            f"{names} {need} {_megabytes(weights)} of memory for the weights alone, and this "
            f"machine has {_megabytes(memory)}. Choose a smaller model."
        )


def fetch(name: str, progress: Progress | None = None) -> Snapshot:
    """Download a model, or what is missing of it.

    Parameters
    ----------
    name
        A name of the catalogue, ``owner/repo`` or ``owner/repo@revision``.
    progress
        Called as bytes arrive.

    Raises
    ------
    UnknownModelError
        If nothing can have that name.
    ModelUnavailableError
        If the hub cannot be reached, does not have or give the model, or sends a broken file; or
        if there is not enough disk space or memory for it, which is found out before downloading.
    EncoderError
        If the repository holds no weights that can be read.
    """
    wanted = plan(name)
    check_room([wanted])
    done = wanted.size - wanted.missing
    stored = _stored(wanted.repository)
    # The files that tell that a model is complete come last.
    for file in sorted(wanted.files, key=lambda file: (file.path in MARKERS, file.path)):
        if (stored / "snapshots" / wanted.commit / file.path).is_file():
            continue

        def count(size: int, file: RemoteFile = file) -> None:
            nonlocal done
            done += size
            if progress is not None:
                progress(file.path, done, wanted.size)

        with _explained(name):
            download(wanted.repository, wanted.commit, file, _cache(), count)
    reference = stored / "refs" / _target(name)[1]
    if reference.name != wanted.commit:
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(wanted.commit)
    return snapshot(name)


def remove(name: str) -> int:
    """Delete a model from this machine, in all its versions; returns how many bytes that frees.

    Raises
    ------
    UnknownModelError
        If nothing can have that name.
    ModelUnavailableError
        If it is not there.
    OutputError
        If it cannot be deleted.
    """
    stored = _stored(_target(name)[0])
    if not stored.is_dir():
        raise ModelUnavailableError(f"{name} is not on this machine: there is no {stored}.")
    # A snapshot is made of links to the blobs, or of files where the system has no links.
    parts = ("blobs", "snapshots")
    found = [path for part in parts for path in (stored / part).rglob("*")]
    files = [path for path in found if path.is_file() and not path.is_symlink()]
    freed = sum(path.stat().st_size for path in files)
    try:
        shutil.rmtree(stored)
    except OSError as error:
        raise OutputError(
            f"{name} cannot be removed: {error.strerror or error} ({error.filename}). Free it, or "
            f"delete {stored} yourself."
        ) from error
    return freed


def is_repository(name: str) -> bool:
    """Return whether a name is written as ``owner/repo`` or ``owner/repo@revision``.

    Examples
    --------
    >>> is_repository("owner/repo@refs/pr/3"), is_repository("models/clip/best")
    (True, False)
    """
    return _REPOSITORY.fullmatch(name) is not None


def _target(name: str) -> tuple[str, str]:
    """Return the repository and the revision that a name stands for."""
    card = find_card(name)
    if card is None:
        if "+" in name:
            raise EncoderError(
                f"{name} is a pair of models. Name them one after the other: "
                f"{', '.join(name.split('+'))}."
            )
        if not is_repository(name):
            raise UnknownModelError(name, suggestions(name))
        repository, _, revision = name.partition("@")
        return repository, revision or "main"
    if card.repository is None:
        where = "is part of pareja" if card.folder is None else f"lies in {card.folder}"
        raise EncoderError(f"{name} {where}: there is nothing to download or remove.")
    return card.repository, card.revision or "main"


def _described(name: str) -> str:
    """Say what a model is and how large, as far as it is known without the hub."""
    card = find_card(name)
    if card is None:
        return f"the repository {_target(name)[0]} on the Hugging Face hub"
    size = f"{card.download_mb:,.0f} MB" if card.download_mb else ""
    known = ", ".join(filter(None, (size, card.licence)))
    return f"{card.repository} on the Hugging Face hub{known and f' ({known})'}"


def _cache() -> Path:
    """Where huggingface_hub keeps its files; the same answer as its own, without its import."""
    home = os.environ.get("HF_HOME") or Path(
        os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface"
    )
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home, "hub")).expanduser()


def _stored(repository: str) -> Path:
    return stored_at(_cache(), repository)


def _explained(name: str) -> AbstractContextManager[None]:
    """Turn whatever goes wrong with the hub into one clear line."""
    return explained(name, _described(name), *_target(name))


def _listed(model: ModelInfo) -> list[RemoteFile]:
    return [
        RemoteFile(
            sibling.rfilename,
            sibling.size or 0,
            None if sibling.lfs is None else sibling.lfs.sha256,
            sibling.blob_id,
        )
        for sibling in model.siblings or []
    ]


def _memory() -> int | None:
    """Physical memory in bytes, where the system says it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"
