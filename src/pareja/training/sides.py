"""The two towers while they are trained: rows of inputs in, embeddings with gradients out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray

from pareja.training.cuts import Cut
from pareja.training.room import room_for

if TYPE_CHECKING:
    from pareja.encoders.preprocessing import Preprocessing
    from pareja.encoders.protocols import Pixels

_AT_ONCE = 64


class Side:
    """One tower and all that it is to read, in numbered rows.

    Parameters
    ----------
    module
        Takes named tensors and returns ``(n, dim)``.
    read
        Returns the inputs of some rows; ``hollow`` where hidden states are known already, so that
        of a picture only the shape matters, and one stands for all.
    rows
        How many rows there are.
    below
        How many of the network's blocks are left as they are, and computed once.
    device
        Where it runs.
    lean
        Whether it computes in bfloat16 and runs blocks a second time for their gradients, which
        takes less memory; by default on CUDA, where bfloat16 is fast.
    lengths
        How many of its tokens each row needs, ``(rows,)``: a batch ends with its longest row. None
        where all rows need all.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        read: Callable[[NDArray[np.intp], bool], dict[str, torch.Tensor]],
        rows: int,
        *,
        below: int = 0,
        device: str = "cpu",
        lean: bool | None = None,
        lengths: NDArray[np.integer[Any]] | None = None,
    ) -> None:
        self.module = module.to(device)
        self.rows = rows
        self.device = device
        self._read = read
        self._lengths = lengths
        self._kind = torch.device(device).type
        self._lean = self._kind == "cuda" if lean is None else lean
        self._cut = Cut(module, below, recompute=self._lean)
        self._hidden: NDArray[np.float32] | None = None
        self._pooled: NDArray[np.intp] | None = None

    def trained(self) -> list[tuple[str, torch.nn.Parameter]]:
        """Return the parameters that are trained, with their names."""
        return [pair for pair in self.module.named_parameters() if pair[1].requires_grad]

    def prepare(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Compute what lies below the cut for every row; nothing where nothing is cut.

        Parameters
        ----------
        progress
            Called with rows done and rows in all.
        """
        if not self._cut.below or self._hidden is not None:
            return
        self.module.eval()
        self._pooled = np.empty(self.rows, np.intp)
        order = np.arange(self.rows)
        if self._lengths is not None:
            order = np.argsort(-self._lengths, kind="stable")
        done = 0
        for rows in self._stretches(order):
            inputs = self._inputs(rows, hollow=False)
            with self._precision():
                states = self._cut.hidden(inputs)
                pooled = None if self._pooled is None else self._cut.pooled(inputs, states)
            if self._hidden is None:
                shape = (self.rows, *states.shape[1:])
                self._hidden = room_for("the hidden states", shape, np.float32)
            length = states.shape[1]
            self._hidden[rows, :length] = states.float().cpu().numpy()
            self._hidden[rows, length:] = 0  # masked, but numbers all the same
            if self._pooled is not None and pooled is not None:
                self._pooled[rows] = pooled.cpu().numpy()
            else:
                self._pooled = None
            done += len(rows)
            if progress is not None:
                progress(done, self.rows)

    def embed(self, rows: NDArray[np.intp]) -> torch.Tensor:
        """Return the embeddings of some rows, length 1, ``(n, dim)``, with gradients."""
        hidden = pooled = None
        if self._hidden is not None:
            hidden = torch.from_numpy(self._hidden[rows, : self._longest(rows)]).to(self.device)
        if self._pooled is not None:
            pooled = torch.from_numpy(self._pooled[rows]).to(self.device)
        inputs = self._inputs(rows, hollow=hidden is not None)
        with self._precision():
            raw = self._cut.above(inputs, hidden, pooled)
        return functional.normalize(raw.float(), dim=-1)

    @torch.no_grad()
    def embed_all(
        self, rows: NDArray[np.intp], progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Return the embeddings of any number of rows, without gradients, ``(n, dim)``.

        Parameters
        ----------
        rows
            Which, ``(n,)``.
        progress
            Called with rows done and rows in all.
        """
        self.module.eval()
        parts: list[NDArray[np.float32]] = []
        done = 0
        for some in self._stretches(rows):
            parts.append(self.embed(some).cpu().numpy())
            done += len(some)
            if progress is not None:
                progress(done, len(rows))
        return np.concatenate(parts)

    def _inputs(self, rows: NDArray[np.intp], *, hollow: bool) -> dict[str, torch.Tensor]:
        inputs = self._read(rows, hollow)
        if self._lengths is not None:
            longest = self._longest(rows)
            inputs = {name: value[:, :longest] for name, value in inputs.items()}
        return {name: value.to(self.device) for name, value in inputs.items()}

    def _longest(self, rows: NDArray[np.intp]) -> int | None:
        return None if self._lengths is None else int(self._lengths[rows].max())

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._kind, torch.bfloat16, enabled=self._lean)

    @staticmethod
    def _stretches(rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
        for start in range(0, len(rows), _AT_ONCE):
            yield rows[start : start + _AT_ONCE]


def picture_reader(pixels: Pixels, preprocessing: Preprocessing) -> Callable[..., dict[str, Any]]:
    """Return what reads prepared pictures, ``(n, side, side, 3)``, as ``pixel_values``."""

    def read(rows: NDArray[np.intp], hollow: bool) -> dict[str, torch.Tensor]:
        if hollow:
            return {"pixel_values": torch.zeros(1, 3, preprocessing.side, preprocessing.side)}
        return {"pixel_values": torch.from_numpy(preprocessing.normalise(pixels[rows]))}

    return read


def text_reader(inputs: dict[str, NDArray[np.int64]]) -> Callable[..., dict[str, Any]]:
    """Return what reads token ids (and masks), each ``(n, length)``."""

    def read(rows: NDArray[np.intp], hollow: bool) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(array[rows]) for name, array in inputs.items()}

    return read


def feature_reader(features: NDArray[np.float32]) -> Callable[..., dict[str, Any]]:
    """Return what reads rows of features that a frozen encoder has made, ``(n, width)``."""

    def read(rows: NDArray[np.intp], hollow: bool) -> dict[str, torch.Tensor]:
        return {"features": torch.from_numpy(features[rows])}

    return read
