"""Converted networks, ready to run: compiled while they are checked, and kept as compiled.

Compiling the text network of a CLIP takes OpenVINO half a second in every process. What comes of it
is small, since it leaves the weights where they are: it is kept beside the converted networks, and
read instead. OpenVINO's own ``CACHE_DIR`` would leave half-written files after a kill.

One that nobody has read for a month is removed when another one is kept: it is of a network, a
processor, a version of OpenVINO or settings that are used no more. Until then another machine or
environment that shares the folder may be using it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pareja.checksums import MARKER, wrong_files
from pareja.encoders.backends.runtime import openvino
from pareja.errors import OutputError
from pareja.files import atomic_write
from pareja.shortages import naming_shortages

# What is kept has no weights in it.
_SMALL = {"CACHE_MODE": "OPTIMIZE_SIZE"}
_DIGEST_BYTES = hashlib.sha256().digest_size
_DAY = 86400.0
_UNUSED_DAYS = 30


def open_compiled(
    path: Path, settings: Mapping[str, Any], sample: Mapping[str, NDArray[Any]]
) -> openvino.CompiledModel | None:
    """Compile a converted network, or read it as it was compiled on this machine before.

    Its weights are compared with their checksum meanwhile.

    Parameters
    ----------
    path
        ``network.xml``, with its weights beside it, in a folder with a list of checksums.
    settings
        How it is compiled.
    sample
        Inputs of the network. What is kept must compute the same from them, to the bit.

    Returns
    -------
    openvino.CompiledModel or None
        None if the network is not there, or not as it was written.

    Raises
    ------
    RuntimeError
        If it is as it was written, and OpenVINO cannot run it.
    """
    weights = path.with_suffix(".bin")
    # OpenVINO reads nothing but numbers before these are compared, too.
    if not is_whole(path.parent, unread={weights.name}):
        return None
    kept = _kept_path(path, settings)
    with ThreadPoolExecutor(1, thread_name_prefix="pareja-check") as beside:
        whole = beside.submit(is_whole, path.parent)
        before = _read(kept, weights, settings)
        try:
            compiled = _compile(path, settings) if before is None else before
        except RuntimeError:
            if whole.result():
                raise
            return None
        if not whole.result():
            return None
    if before is None:
        _keep(compiled, kept, weights, settings, sample)
    return compiled


def is_whole(folder: Path, *, unread: Collection[str] = ()) -> bool:
    """Return whether the files of a converted network are there and as they were written.

    A bit that flips in its weights would give other vectors under the same fingerprint.

    Parameters
    ----------
    folder
        Of the network.
    unread
        Names of files whose bytes are not compared with their checksums.
    """
    try:
        with naming_shortages(folder):
            return not wrong_files(folder, unread=unread)
    except OSError:
        return False  # it is not there, or an older version wrote no list


def _compile(path: Path, settings: Mapping[str, Any]) -> openvino.CompiledModel:
    core = openvino.Core()
    return core.compile_model(core.read_model(path), "CPU", {**settings, **_SMALL})


def _kept_path(path: Path, settings: Mapping[str, Any]) -> Path:
    """Return where a network is kept that is compiled so: by this version, for this processor."""
    core = openvino.Core()
    # The list of the checksums names the network.
    made_by = (
        openvino.__version__,
        core.get_property("CPU", "FULL_DEVICE_NAME"),
        core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
        sorted(settings.items()),
        (path.parent / MARKER).read_bytes(),
    )
    name = hashlib.sha256(repr(made_by).encode()).hexdigest()[:32]
    return path.parent.parent / "compiled" / f"{name}.blob"


def _read(kept: Path, weights: Path, settings: Mapping[str, Any]) -> openvino.CompiledModel | None:
    """Read a compiled network; None where there is none, or none that is whole."""
    try:
        with suppress(PermissionError):  # of a folder that others fill
            if kept.stat().st_mtime < time.time() - _DAY:
                os.utime(kept)
        content = kept.read_bytes()
        digest, blob = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(blob).digest() == digest:
            return _imported(blob, weights, settings)
    except (OSError, RuntimeError):
        pass  # it is compiled, and kept, anew
    return None


def _imported(blob: bytes, weights: Path, settings: Mapping[str, Any]) -> openvino.CompiledModel:
    return openvino.Core().import_model(
        blob, "CPU", {**settings, **_SMALL, "WEIGHTS_PATH": str(weights)}
    )


def _keep(
    compiled: openvino.CompiledModel,
    kept: Path,
    weights: Path,
    settings: Mapping[str, Any],
    sample: Mapping[str, NDArray[Any]],
) -> None:
    """Keep a compiled network, if that is possible and it computes the same when it is read."""
    # Where it is not kept, it is compiled again next time.
    with suppress(OutputError, OSError, RuntimeError):
        blob = bytes(compiled.export_model().getvalue())
        again = _imported(blob, weights, settings)
        if compiled(sample)[0].tobytes() == again(sample)[0].tobytes():
            atomic_write(kept, hashlib.sha256(blob).digest() + blob, force=True)
            _remove_unused(kept.parents[2])


def _remove_unused(root: Path) -> None:
    """Remove compiled networks of all versions that nobody has read for a month.

    A process that is about to read one compiles its network anew.
    """
    oldest = time.time() - _UNUSED_DAYS * _DAY
    for blob in root.glob("*/compiled/*.blob"):
        with suppress(OSError):
            if blob.stat().st_mtime < oldest:
                blob.unlink()
