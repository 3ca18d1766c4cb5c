"""Moving files of the Hugging Face hub, and saying in one line what went wrong."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from pareja.errors import EncoderError, ModelUnavailableError


@dataclass(frozen=True)
class RemoteFile:
    """One file of a repository: its path, its size in bytes, and its checksum.

    `sha256` is known for large files only; small ones have the hash that git gives them.
    """

    path: str
    size: int
    sha256: str | None
    git_hash: str | None


def stored_at(cache: Path, repository: str) -> Path:
    """Where huggingface_hub keeps a repository, whether or not there is anything."""
    return cache / f"models--{repository.replace('/', '--')}"


def download(
    repository: str, commit: str, file: RemoteFile, cache: Path, count: Callable[[int], None]
) -> None:
    """Bring one file into huggingface_hub's cache.

    Parameters
    ----------
    repository, commit, file
        What to bring.
    cache
        Where huggingface_hub keeps its repositories.
    count
        Called with a number of bytes as they arrive, or are found to be there.

    Raises
    ------
    ModelUnavailableError
        If what arrives is not what the hub says it should be; it is deleted then.
    """
    from huggingface_hub import get_token, hf_hub_download, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]  # there, not declared
    from huggingface_hub.utils.tqdm import silent_tqdm

    if file.sha256 is not None:
        blob = stored_at(cache, repository) / "blobs" / file.sha256
        partial = blob.with_suffix(".part")
        blob.parent.mkdir(parents=True, exist_ok=True)
        lock = cache / ".locks" / stored_at(cache, repository).name / f"{file.sha256}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        # Two processes would both append to the file. It is the lock that huggingface_hub takes.
        with WeakFileLock(lock):
            if not blob.exists():
                token = get_token()
                with partial.open("ab") as stream:
                    count(stream.tell())
                    # Of a whole file that waits for its checksum the hub has no rest to send.
                    if stream.tell() < file.size:
                        http_get(
                            hf_hub_url(repository, file.path, revision=commit),
                            cast(BinaryIO, _Counting(stream, count)),
                            resume_size=stream.tell(),
                            headers={"authorization": f"Bearer {token}"} if token else None,
                            expected_size=file.size,
                            tqdm_class=silent_tqdm,
                        )
                _verify(repository, file, partial)
                partial.replace(blob)
    pointer = hf_hub_download(
        repository, file.path, revision=commit, cache_dir=cache, tqdm_class=silent_tqdm
    )
    if file.sha256 is None:
        count(file.size)
        _verify(repository, file, Path(pointer))


def _verify(repository: str, file: RemoteFile, path: Path) -> None:
    """Compare a file with the hub's checksum, and delete it if it differs."""
    if file.sha256 is not None:
        digest, expected = hashlib.sha256(), file.sha256
    else:
        # How git names a file's content.
        digest, expected = hashlib.sha1(usedforsecurity=False), file.git_hash or ""
        digest.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if expected and digest.hexdigest() != expected:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise ModelUnavailableError(
            f"{file.path} of {repository} arrived broken: its checksum is not the one that "
            f"the hub states. It was deleted; fetch the model again."
        )


@contextmanager
def explained(name: str, described: str, repository: str, revision: str) -> Iterator[None]:
    """Turn whatever goes wrong with the hub into one clear line."""
    from huggingface_hub import errors

    what = f"{name} cannot be downloaded. It is {described}, and"
    try:
        yield
    except errors.GatedRepoError as error:
        raise ModelUnavailableError(
            f"{what} its owner wants to be asked first: accept the terms on its page, then log in "
            "with 'hf auth login'."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelUnavailableError(
            f"{what} the hub has no repository {repository}, or it is private. Check the name; for "
            "a private one log in with 'hf auth login'."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelUnavailableError(
            f"{what} that repository has no revision {revision!r}."
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise ModelUnavailableError(
            f"{what} HF_HUB_OFFLINE is set. Unset it, or give the path of a folder with the model."
        ) from error
    except errors.HFValidationError as error:
        raise EncoderError(f"{name!r} is no name of a repository: {error}") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelUnavailableError(
                f"{what} the disk is full. Make room, or set HF_HOME to another "
                "disk; what arrived is kept, and fetching goes on from there."
            ) from error
        if isinstance(error, errors.HfHubHTTPError) or error.errno is None:
            raise _unreachable(what, error) from error
        raise ModelUnavailableError(f"{what} writing it failed: {error}.") from error
    except Exception as error:
        # Errors of the HTTP library, whose name has changed between versions of huggingface_hub.
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2", "httpcore"):
            raise
        raise _unreachable(what, error) from error


def _unreachable(what: str, error: Exception) -> ModelUnavailableError:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return ModelUnavailableError(
        f"{what} the hub cannot be reached ({reason}). Try again when there is a network, or give "
        "the path of a folder with the model."
    )


class _Counting:
    """A file that tells how many bytes are written to it."""

    def __init__(self, stream: BinaryIO, count: Callable[[int], None]) -> None:
        self._stream = stream
        self._count = count

    def write(self, block: bytes) -> int:
        self._count(len(block))
        return self._stream.write(block)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
