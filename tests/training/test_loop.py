from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pareja.datasets import load_dataset
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import EncoderError, OutputError
from pareja.training.loop import Anchors, Pairs, Trained, Trainer, interpolated
from pareja.training.lora import Rank, Towers
from pareja.training.material import caption_texts, prepared_pixels
from pareja.training.methods import NETWORK_METHODS, NetworkMethod, begin
from pareja.training.schedule import Schedule

COUNT = 24


def trainer(
    encoder: NetworkDualEncoder,
    method: NetworkMethod = "lora",
    blocks: int | None = None,
    towers: Towers = "both",
    anchors: Anchors | None = None,
    **changes: Any,
) -> tuple[Trainer, Pairs]:
    dataset = load_dataset(f"shapes:{COUNT}")
    texts = caption_texts(dataset)
    pixels, _, _ = prepared_pixels([record.source for record in dataset], encoder)
    torch.manual_seed(0)
    rank = Rank(rank=2, blocks=blocks)
    adapted = begin(encoder, pixels, texts.texts, method, rank=rank, towers=towers)
    schedule = Schedule(**{"epochs": 2, "batch_size": 8, "learning_rate": 1e-2, **changes})
    made = Trainer(adapted.image, adapted.text, "softmax", (10.0, 0.0), schedule, anchors)
    return made, Pairs(texts.owned, np.arange(len(texts.texts)))


def fit(made: tuple[Trainer, Pairs], **options: Any) -> Trained:
    one, pairs = made
    steps = iter(range(1000))
    return one.fit(pairs, np.arange(COUNT), lambda: float(next(steps)), **options)


def gradients(made: tuple[Trainer, Pairs]) -> dict[str, torch.Tensor]:
    one, pairs = made
    pictures = np.arange(8)
    texts = np.array([pairs.texts[int(i)][0] for i in pictures])
    one.image.prepare()
    one.text.prepare()
    one.backward(pictures, texts, pairs.same(pictures, texts))
    return {name: value.grad.clone() for name, value in one.named.items() if value.grad is not None}


@pytest.mark.parametrize("method", NETWORK_METHODS)
def test_chunks_give_the_gradients_of_the_whole_batch(
    method: NetworkMethod, untrained: NetworkDualEncoder
) -> None:
    whole = gradients(trainer(untrained, method))
    chunked = gradients(trainer(untrained, method, chunk=3))
    assert whole
    assert whole.keys() == chunked.keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(chunked[name], gradient, rtol=1e-3, atol=1e-6)


def test_the_losses_are_those_of_training_that_keeps_nothing(
    untrained: NetworkDualEncoder,
) -> None:
    settings: dict[str, Any] = {"blocks": 1, "epochs": 3, "learning_rate": 3e-2, "patience": 0}
    keeping, plain = trainer(untrained, **settings), trainer(untrained, **settings)
    plain[0].image._cut.below = plain[0].text._cut.below = 0
    losses, expected = ([e.loss for e in fit(one).history[1:]] for one in (keeping, plain))
    assert keeping[0].image._hidden is not None
    assert plain[0].image._hidden is None
    assert expected[-1] < expected[0] - 0.01
    np.testing.assert_allclose(losses, expected, atol=1e-3)


@pytest.mark.parametrize("chunk", [None, 3])
@pytest.mark.parametrize("towers", ["image", "text"])
def test_a_tower_that_is_not_trained_stays_as_it_is(
    towers: Towers, chunk: int | None, untrained: NetworkDualEncoder
) -> None:
    held = Anchors(np.arange(4), np.arange(4), 1.0)
    made = trainer(untrained, towers=towers, anchors=held, chunk=chunk)
    sides = {"image": made[0].image, "text": made[0].text}
    before = {name: side.embed_all(np.arange(4)) for name, side in sides.items()}
    fit(made)
    moved = {
        name: float(np.abs(side.embed_all(np.arange(4)) - before[name]).max())
        for name, side in sides.items()
    }
    assert moved.pop(towers) > 1e-3
    assert set(moved.values()) == {0.0}


def test_what_is_held_on_to_moves_less(untrained: NetworkDualEncoder) -> None:
    rows = np.arange(12, COUNT)
    moved = []
    for weight in (0.0, 20.0):
        made = trainer(untrained, anchors=Anchors(rows, rows, weight), epochs=4, patience=0)
        sides = (made[0].image, made[0].text)
        before = [side.embed_all(rows) for side in sides]
        one, pairs = made
        steps = iter(range(9))
        one.fit(pairs, np.arange(12), lambda: float(next(steps)))  # noqa: B023  called at once
        cosines = [
            np.sum(side.embed_all(rows) * was, axis=1).mean()
            for side, was in zip(sides, before, strict=True)
        ]
        moved.append(1 - float(np.mean(cosines)))
    assert moved[0] > 1e-3
    assert moved[1] < moved[0] / 2


def test_the_loss_falls_and_the_scale_moves(untrained: NetworkDualEncoder) -> None:
    found = fit(trainer(untrained, "full", epochs=30, learning_rate=3e-3, patience=0))
    assert found.history[-1].loss < 0.9 * found.history[1].loss
    assert found.history[-1].scale != found.history[0].scale
    assert found.stopped is None


def test_the_best_epoch_is_kept_and_patience_ends_the_rest(untrained: NetworkDualEncoder) -> None:
    one, pairs = trainer(untrained, epochs=9, patience=2)
    scores = iter([0.1, 0.5, 0.4, 0.3, 0.2, 0.1])
    found = one.fit(pairs, np.arange(COUNT), lambda: next(scores))
    assert (found.best, found.stopped, len(found.history)) == (1, "patience", 4)
    for name, value in found.state.items():
        torch.testing.assert_close(one.named[name].detach(), value)


def test_training_that_was_stopped_goes_on_to_the_same_weights(
    untrained: NetworkDualEncoder, tmp_path: Path
) -> None:
    whole = fit(trainer(untrained, epochs=3))

    class Killed(Exception):  # noqa: N818
        pass

    def kill(done: int, of: int, loss: float) -> None:
        if done == 5:
            raise Killed

    with pytest.raises(Killed):
        fit(trainer(untrained, epochs=3), folder=tmp_path, on_step=kill)
    one, pairs = trainer(untrained, epochs=3)
    steps = iter(range(2, 1000))
    again = one.fit(pairs, np.arange(COUNT), lambda: float(next(steps)), folder=tmp_path)
    assert [entry.loss for entry in again.history[1:]] == [e.loss for e in whole.history[1:]]
    for name, value in whole.state.items():
        assert torch.equal(again.state[name], value), name


def test_an_interruption_keeps_the_best_so_far(untrained: NetworkDualEncoder) -> None:
    def interrupt(done: int, of: int, loss: float) -> None:
        if done == 4:
            raise KeyboardInterrupt

    found = fit(trainer(untrained, epochs=5), on_step=interrupt)
    assert (found.best, found.stopped) == (1, "interrupted")


def test_a_loss_that_is_no_number_ends_training_and_names_the_step(
    untrained: NetworkDualEncoder,
) -> None:
    one, pairs = trainer(untrained, epochs=5)
    true_loss = one.loss_of
    calls = iter(range(100))

    def broken(*arguments: Any) -> torch.Tensor:
        loss = true_loss(*arguments)
        return loss * math.nan if next(calls) == 4 else loss

    one.loss_of = broken  # type: ignore[method-assign, assignment]
    scores = iter(range(100))
    found = one.fit(pairs, np.arange(COUNT), lambda: float(next(scores)))
    assert (found.best, found.stopped) == (1, "not a number at step 5")
    assert all(torch.isfinite(value).all() for value in found.state.values())


def test_half_of_a_low_rank_change_is_half_of_its_product(untrained: NetworkDualEncoder) -> None:
    found = fit(trainer(untrained))
    half = interpolated(found, 0.5)
    pairs_of = [name for name in found.state if ".lora_B." in name]
    assert pairs_of
    for b in pairs_of:
        a = b.replace("lora_B", "lora_A")
        whole = found.state[b] @ found.state[a]
        torch.testing.assert_close(half[b] @ half[a], whole / 2)


def test_equal_texts_of_two_pictures_are_right_for_both() -> None:
    pairs = Pairs((np.array([0]), np.array([0, 1]), np.array([2])), np.arange(3))
    same = pairs.same(np.array([0, 1, 2]), np.array([0, 1, 2]))
    assert same.tolist() == [
        [True, False, False],
        [True, True, False],
        [False, False, True],
    ]


def test_short_memory_is_named_before_a_training_begins(
    untrained: NetworkDualEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pareja.training.room.has_memory", lambda amount: amount < 1000)
    with pytest.raises(EncoderError, match="MB more memory than the machine has free"):
        fit(trainer(untrained), folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_named_before_and_while_states_are_written(
    untrained: NetworkDualEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as change:
        change.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
        with pytest.raises(OutputError, match=r"the states of this training need 0\.\d MB"):
            fit(trainer(untrained), folder=tmp_path)

    def full(*_: Any) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:672]")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match="is the disk full"):
        fit(trainer(untrained), folder=tmp_path)
    assert not list(tmp_path.iterdir())
