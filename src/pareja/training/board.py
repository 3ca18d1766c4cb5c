"""What TensorBoard shows of a training while it runs; ``training.jsonl`` stays the record."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pareja.errors import MissingDependencyError, OutputError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from pareja.training.schedule import Epoch


class Board:
    """One run in a folder of TensorBoard.

    Parameters
    ----------
    folder
        Of this run; TensorBoard is started with one above it, and names the run by the path
        between.

    Raises
    ------
    MissingDependencyError
        If TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        if find_spec("tensorboard") is None:
            raise MissingDependencyError(
                "tensorboard", "to write what TensorBoard shows", "tensorboard"
            )
        self.folder = folder
        self._writer: SummaryWriter | None = None

    def inside(self, name: str) -> Board:
        """Return the board of a run in a folder of this one."""
        return Board(self.folder / name)

    def step(self, step: int, loss: float) -> None:
        """Show the loss of a step."""
        self._show(step, {"train/loss": loss})

    def epoch(self, step: int, epoch: Epoch) -> None:
        """Show what an epoch ended with, at its last step."""
        values = {
            "eval/mean_reciprocal_rank": epoch.validation,
            "train/logit_scale": epoch.scale,
            "train/learning_rate": epoch.learning_rate,
        }
        self._show(step, values)

    def close(self) -> None:
        """Write what is not yet on disk."""
        if self._writer is not None:
            self._writer.close()

    def _show(self, step: int, values: dict[str, float]) -> None:
        if self._writer is None:
            self._writer = self._opened(step)
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def _opened(self, step: int) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        try:
            # What a run that was stopped, or one before this, showed from this step on is hidden.
            return SummaryWriter(str(self.folder), purge_step=step)
        except OSError as error:
            raise OutputError(
                f"{self.folder} cannot be written: {error.strerror or error}."
            ) from error
