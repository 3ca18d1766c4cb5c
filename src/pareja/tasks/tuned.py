"""What tuning returns: the adapted encoder, and how it compares with what it was."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pareja.encoders.protocols import DualEncoder, Encoder
from pareja.files import staged_directory
from pareja.tasks.results import Langs, write
from pareja.tasks.tuning_measures import Learned, Measured
from pareja.tasks.tuning_recipe import Recipe

if TYPE_CHECKING:
    from pareja.training.methods import Method
    from pareja.training.schedule import Epoch


@dataclass(frozen=True)
class Tuned:
    """An encoder that was adapted.

    Parameters
    ----------
    encoder
        What came of it; its fingerprint differs from that of `base`.
    base
        What was adapted.
    before
        What it is measured against: `base`, or the ridge regression of a pair's two networks.
    method, learned
        How, and from what.
    parts
        How many pictures were in ``train``, ``validation`` and ``test``.
    folds
        How many trainings `test` is measured over; 0 where one part was held out.
    kept
        The dataset that was held on to; None where nothing was.
    history
        Every epoch; the first entry is the state before training.
    best
        The epoch that was kept; 0 where none was better than the start.
    share
        How much of the change was kept, in [0, 1], chosen on validation.
    shares
        The validation score of each share that could have been kept, 0 included; empty where there
        was nothing to choose.
    stopped
        Why training ended before its last epoch; None where it did not.
    test
        The pictures that were held out, before and after; None where there are none.
    others
        What was forgotten: other datasets before and after.
    skipped
        ``(name, reason)`` of pictures that did not decode.
    seconds
        How long it took.
    folder
        Where the files are.
    recipe
        The dataset, the loss, the weights and the schedule.
    """

    encoder: DualEncoder
    base: Encoder
    before: DualEncoder
    method: Method
    learned: Learned
    parts: Mapping[str, int]
    folds: int
    kept: str | None
    history: tuple[Epoch, ...]
    best: int
    share: float
    shares: Mapping[float, float]
    stopped: str | None
    test: Measured | None
    others: tuple[Measured, ...]
    skipped: tuple[tuple[str, str], ...]
    seconds: float
    folder: Path
    recipe: Recipe

    @property
    def way(self) -> str:
        """The method as a report calls it: a pair's adapters come with linear maps."""
        pair = self.method == "lora" and self.base.kind == "pair"
        return "lora_pair" if pair else self.method

    def report(self, path: Path | str, *, langs: Langs = ("en",), force: bool = False) -> Path:
        """Write what changed, with figures and pictures, to a folder, and return its path.

        Parameters
        ----------
        path
            The folder, which is made.
        langs
            The languages, one report each.
        force
            Replace what an earlier run wrote there.

        Raises
        ------
        OutputError
            If it exists and `force` is off, holds something of yours, or cannot be written.
        """
        return write(self, path, langs=[langs] if isinstance(langs, str) else langs, force=force)

    def save(self, folder: Path | str, *, force: bool = False) -> Path:
        """Copy the adapted encoder to a folder that ``load`` takes.

        Raises
        ------
        OutputError
            If it cannot be written, or exists and `force` is off.
        """
        with staged_directory(folder, force=force) as staged:
            shutil.copytree(self.folder, staged, dirs_exist_ok=True)
        return Path(folder).resolve()
