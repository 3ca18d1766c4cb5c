from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import DUAL, folder, pictures

from pareja.encoders import load
from pareja.encoders.towers import NetworkDualEncoder
from pareja.training import room, sides
from pareja.training.lora import Rank
from pareja.training.methods import Adaptation, NetworkMethod, begin
from pareja.training.sides import Side

TEXTS = ("a cat", "the dog", "a cat and the dog", "the", "a dog")


def adapted(kind: str, method: NetworkMethod = "lora", *, cut: bool = True) -> Adaptation:
    encoder = load(str(folder(kind)), device="cpu", precision="float32")
    assert isinstance(encoder, NetworkDualEncoder)
    pixels = np.stack([encoder.prepare(picture) for picture in pictures()])
    made = begin(encoder, pixels, TEXTS, method, rank=Rank(rank=2, blocks=1))
    for side in (made.image, made.text):
        if not cut:
            side._cut.below = 0
        side.prepare()
    return made


def learn(side: Side) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return embeddings, and the gradients of a sum over them."""
    made = side.embed(np.arange(side.rows))
    torch.autograd.backward((made * torch.linspace(-1, 1, made.numel()).view_as(made)).sum())
    found = {name: value.grad for name, value in side.trained()}
    return made.detach(), {name: value for name, value in found.items() if value is not None}


def check_same(one: Side, other: Side, **tolerance: Any) -> None:
    (embeddings, gradients), (expected, wanted) = learn(one), learn(other)
    torch.testing.assert_close(embeddings, expected, **tolerance)
    assert gradients.keys() == wanted.keys()
    assert any(gradient.abs().max() > 1e-3 for gradient in wanted.values())
    for name, gradient in wanted.items():
        torch.testing.assert_close(gradients[name], gradient, **tolerance)


@pytest.mark.parametrize("kind", DUAL)
def test_what_is_kept_changes_neither_embeddings_nor_gradients(kind: str) -> None:
    ours, plain = adapted(kind), adapted(kind, cut=False)
    for side in ("image", "text"):
        assert getattr(ours, side)._hidden is not None
        assert getattr(plain, side)._hidden is None
        check_same(getattr(ours, side), getattr(plain, side), rtol=1e-4, atol=1e-5)


def test_weights_of_the_last_block_get_the_gradients_of_the_whole_network() -> None:
    ours, plain = adapted("clip", "full"), adapted("clip", "full", cut=False)
    assert any(".mlp." in name for name, _ in ours.image.trained())
    check_same(ours.image, plain.image, rtol=1e-4, atol=1e-5)


def test_the_pooled_token_is_found_where_there_is_one() -> None:
    clip, siglip = adapted("clip"), adapted("siglip")
    assert clip.image._pooled is not None
    assert clip.image._pooled.tolist() == [0] * len(pictures())
    assert clip.text._pooled is not None
    # The end token follows the words.
    assert clip.text._pooled[2] > clip.text._pooled[0] > clip.text._pooled[3]
    # SigLIP's picture is made of all its patches, and its text of the last of 100 tokens.
    assert siglip.image._pooled is None
    assert siglip.text._pooled is not None
    assert siglip.text._pooled.tolist() == [99] * len(TEXTS)


def test_only_the_token_that_is_pooled_reaches_the_end_of_the_last_block() -> None:
    side = adapted("clip").image
    shapes: list[torch.Size] = []
    mlp = side._cut._mlp()
    assert mlp is not None
    mlp.register_forward_hook(lambda module, inputs, output: shapes.append(output.shape))
    side.embed(np.arange(3))
    assert shapes == [(3, 1, 32)]


@pytest.mark.parametrize("kind", DUAL)
def test_a_batch_of_texts_ends_with_its_longest(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sides, "_AT_ONCE", 2)
    one = adapted(kind).text
    expected = one.embed_all(np.arange(len(TEXTS)))
    # Two that were computed with others of other lengths.
    rows = np.array([2, 3])
    np.testing.assert_allclose(one.embed_all(rows), expected[rows], atol=1e-6)
    read = {name: value.shape[1] for name, value in one._inputs(rows[1:], hollow=True).items()}
    whole = {name: value.shape[1] for name, value in one._read(rows[1:], True).items()}
    assert read.keys() == whole.keys()
    # SigLIP's texts are of one length.
    assert all((read[name] < whole[name]) != kind.startswith("siglip") for name in read)


def test_hidden_states_beyond_the_limit_are_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = adapted("clip")
    monkeypatch.setattr(room, "KEPT_IN_MEMORY", 1000)
    on_disk = adapted("clip")
    assert isinstance(on_disk.image._hidden, np.memmap)
    assert isinstance(on_disk.text._hidden, np.memmap)
    assert not isinstance(inside.image._hidden, np.memmap)
    check_same(on_disk.image, inside.image, rtol=0, atol=0)


def test_a_lean_side_learns_nearly_the_same_and_keeps_less() -> None:
    plain = adapted("clip").image
    lean = Side(plain.module, plain._read, plain.rows, below=1, lean=True)
    lean.prepare()
    expected, wanted = learn(plain)
    plain.module.zero_grad()
    found, gradients = learn(lean)
    # bfloat16 has 8 bits of precision.
    assert 0 < (found - expected).abs().max() < 0.02
    a, b = (torch.cat([g[name].flatten() for name in wanted]) for g in (gradients, wanted))
    assert torch.cosine_similarity(a, b, dim=0) > 0.99


def saved_bytes(side: Side) -> int:
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        side.embed(np.arange(side.rows))
    return sum(kept.values())


def test_blocks_that_run_again_keep_only_their_input() -> None:
    plain = adapted("clip").image
    again = adapted("clip").image
    again._cut._recompute = True
    assert saved_bytes(again) < saved_bytes(plain) / 2
    check_same(again, plain, rtol=1e-5, atol=1e-6)
