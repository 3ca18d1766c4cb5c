from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import MissingDependencyError
from pareja.tasks.tuning import tune
from pareja.training.board import Board
from pareja.training.schedule import Epoch, Schedule


def epoch(number: int, score: float) -> Epoch:
    return Epoch(number, 1.0, score, 1e-3, 20.0, 0.5)


def test_a_run_that_goes_on_hides_the_steps_that_are_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            calls.append((Path(folder).name, purge_step))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            calls.append((name, value, step))

        def close(self) -> None:
            calls.append("closed")

    module = type("module", (), {"SummaryWriter": Writer})
    monkeypatch.setitem(import_module("sys").modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr("pareja.training.board.find_spec", lambda _: True)
    first = Board(tmp_path / "mine")
    first.epoch(0, epoch(0, 0.25))
    first.step(1, 2.5)
    again = first.inside("fold-2")
    again.step(5, 1.5)
    again.close()
    Board(tmp_path / "nothing shown").close()
    assert calls == [
        ("mine", 0),
        ("eval/mean_reciprocal_rank", 0.25, 0),
        ("train/logit_scale", 20.0, 0),
        ("train/learning_rate", 1e-3, 0),
        ("train/loss", 2.5, 1),
        ("fold-2", 5),
        ("train/loss", 1.5, 5),
        "closed",
    ]


@pytest.mark.skipif(find_spec("tensorboard") is not None, reason="TensorBoard is installed")
def test_without_tensorboard_nothing_is_begun(
    untrained: NetworkDualEncoder, tmp_path: Path
) -> None:
    with pytest.raises(MissingDependencyError, match=r"pareja\[tensorboard\]"):
        tune(untrained, "shapes:20", folder=tmp_path / "mine", tensorboard=tmp_path / "runs")
    assert not list(tmp_path.iterdir())


def test_tensorboard_reads_what_the_record_says(
    untrained: NetworkDualEncoder, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = tune(
        untrained,
        "shapes:24",
        schedule=Schedule(epochs=3, batch_size=8),
        keep=False,
        folds=2,
        resamples=50,
        cache=False,
        folder=tmp_path / "mine",
        tensorboard=tmp_path / "runs",
    )
    assert {path.name for path in (tmp_path / "runs" / "mine").glob("fold-*")} == {
        "fold-1",
        "fold-2",
    }
    events = EventAccumulator(str(tmp_path / "runs" / "mine")).Reload()
    shown = events.Scalars("eval/mean_reciprocal_rank")
    assert [point.value for point in shown] == pytest.approx(
        [each.validation for each in result.history]
    )
    losses = [point.value for point in events.Scalars("train/loss")]
    steps = len(losses) // 3
    assert sum(losses[:steps]) / steps == pytest.approx(result.history[1].loss, rel=1e-5)
