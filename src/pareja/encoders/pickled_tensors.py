"""Tensors out of a file of ``torch.save``, without torch, and without running what is pickled."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


class _Storage(NamedTuple):
    key: str
    dtype: str


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


_ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "FloatStorage"): "<f4",
    ("torch", "LongStorage"): "<i8",
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no tensor")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key, _, _, _ = pid
        return _Storage(key, dtype)


def read_tensors(content: bytes) -> dict[str, NDArray[Any]]:
    """Read a dictionary of tensors in the format of torch before 1.6.

    That is five pickles in a row (a magic number, the protocol's version, the machine's types, the
    dictionary, the names of the storages), then each storage as its length and its values.

    Parameters
    ----------
    content
        The file: tensors of float32 and int64 by their names, saved on a little-endian machine.

    Returns
    -------
    dict
        The arrays by their names, each contiguous and in new memory.

    Raises
    ------
    pickle.UnpicklingError
        If it holds anything else than tensors, or is of another format.
    Exception
        Of any kind, as `pickle` has it, if it is damaged.
    """
    stream = BytesIO(content)
    magic, protocol, _ = (_Unpickler(stream).load() for _ in range(3))
    if (magic, protocol) != (_MAGIC, _PROTOCOL):
        raise pickle.UnpicklingError("it is not in the format of torch before 1.6")
    tensors: dict[str, _Tensor] = _Unpickler(stream).load()
    dtypes = {tensor.storage.key: np.dtype(tensor.storage.dtype) for tensor in tensors.values()}
    storages: dict[str, NDArray[Any]] = {}
    for key in _Unpickler(stream).load():
        length = int.from_bytes(stream.read(8), "little")
        storages[key] = np.frombuffer(content, dtypes[key], length, stream.tell())
        stream.seek(storages[key].nbytes, 1)
    return {name: _array(tensor, storages[tensor.storage.key]) for name, tensor in tensors.items()}


def _array(tensor: _Tensor, storage: NDArray[Any]) -> NDArray[Any]:
    size = storage.itemsize
    # NumPy raises for a view that would leave the storage.
    view: NDArray[Any] = np.ndarray(
        tensor.shape,
        storage.dtype,
        storage,
        tensor.offset * size,
        [stride * size for stride in tensor.strides],
    )
    return view.copy(order="C")
