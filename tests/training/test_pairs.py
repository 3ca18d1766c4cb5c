from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import transformers
from tiny_models import folder

import pareja
from pareja.datasets import load_dataset
from pareja.datasets.images import decode_image
from pareja.encoders.loading import require_dual
from pareja.encoders.protocols import EncoderPair
from pareja.errors import EncoderError
from pareja.tasks.tuning import tune
from pareja.training.cuts import Cut, blocks_of
from pareja.training.heads import START
from pareja.training.loop import Pairs, Trainer
from pareja.training.lora import Rank, adapt
from pareja.training.material import caption_texts, prepared_pixels
from pareja.training.pairs import PairTraining
from pareja.training.schedule import Schedule

DATASET = load_dataset("shapes:24")
ROWS = np.arange(len(DATASET))


def pair(image: str) -> EncoderPair:
    found = pareja.load(f"{folder(image)}+{folder('sentence')}", device="cpu", precision="float32")
    assert isinstance(found, EncoderPair)
    return found


def loss_of(trainer: Trainer, owned: Any, images: Any, texts: Any) -> float:
    """Return the loss of all pairs without dropout, at the scale that training began with."""
    first = np.array([own[0] for own in owned])
    logits = START["softmax"][0] * images @ texts[first].T
    return float(
        torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.arange(len(first)))
    )


@pytest.mark.parametrize("towers", ["both", "image", "text"])
@pytest.mark.parametrize("image", ["vit", "resnet"])
def test_a_pair_learns_in_its_networks_and_loads_from_its_folder(
    image: str, towers: Literal["both", "image", "text"], tmp_path: Path
) -> None:
    base, texts = pair(image), caption_texts(DATASET)
    pixels, _, _ = prepared_pixels([r.source for r in DATASET], base)
    training = PairTraining(
        base,
        pixels,
        texts.texts,
        loss="softmax",
        terms=START["softmax"],
        towers=towers,
        rank=Rank(rank=4, blocks=1),
    )
    adaptation = training.begin(texts.owned, ROWS)
    start = adaptation.image.embed_all(ROWS), adaptation.text.embed_all(ROWS)
    ridge = adaptation.before
    np.testing.assert_allclose(ridge.encode_pixels(pixels), start[0], atol=1e-4)
    schedule = Schedule(epochs=12, batch_size=24, learning_rate=1e-2, patience=0)
    trainer = Trainer(adaptation.image, adaptation.text, "softmax", START["softmax"], schedule)
    rising = count()
    trained = trainer.fit(
        Pairs(texts.owned, np.arange(len(texts.texts))), ROWS, lambda: float(next(rising))
    )
    assert trained.best == schedule.epochs
    adaptation.save(tmp_path, trainer.terms())
    folders = {path.parent.name for path in tmp_path.glob("*/adapter_config.json")}
    assert folders == ({"image", "text"} if towers == "both" else {towers})
    saved = require_dual(pareja.load(tmp_path, device="cpu", precision="float32"))
    assert saved.image_fingerprint not in (base.image_fingerprint, ridge.image_fingerprint)
    after = adaptation.image.embed_all(ROWS), adaptation.text.embed_all(ROWS)
    np.testing.assert_allclose(saved.encode_pixels(pixels), after[0], atol=1e-4)
    np.testing.assert_allclose(saved.encode_texts(texts.texts), after[1], atol=1e-4)
    losses = [loss_of(trainer, texts.owned, *state) for state in (start, after)]
    assert losses[1] < losses[0] - 0.1
    for name, before, now in zip(("image", "text"), start, after, strict=True):
        moved = np.abs(now - before).max() > 1e-3
        assert moved == (towers in ("both", name))


# peft asks transformers whether gradients are checkpointed, under a name that it gives up.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
def test_each_half_of_a_tuned_pair_is_an_adapter_that_peft_loads(tmp_path: Path) -> None:
    import peft

    result = tuned_pair("vit", folder=tmp_path / "mine")
    assert result.before.name.endswith("ridge regression")
    picture = decode_image(DATASET.records[0].source)
    alone = pareja.load(tmp_path / "mine" / "image", device="cpu", precision="float32")
    model = peft.PeftModel.from_pretrained(
        transformers.ViTModel.from_pretrained(folder("vit"), add_pooling_layer=False),
        str(tmp_path / "mine" / "image"),
    ).eval()
    half: Any = alone
    pixels = torch.from_numpy(half.preprocessing.normalise(half.prepare(picture)[None]))
    with torch.no_grad():
        vector = model(pixel_values=pixels).last_hidden_state[0, 0].numpy()
    np.testing.assert_allclose(
        half.encode_images(picture), vector / np.linalg.norm(vector), atol=1e-5
    )
    notes = tmp_path / "mine" / "text" / "pareja.json"
    notes.write_text(notes.read_text().replace('"fingerprint": "', '"fingerprint": "0'))
    with pytest.raises(EncoderError, match="the adapter was trained on"):
        pareja.load(tmp_path / "mine")


def tuned_pair(image: str, **options: Any) -> Any:
    schedule = Schedule(epochs=2, batch_size=12, learning_rate=5e-3)
    return tune(
        pair(image), DATASET, folds=0, schedule=schedule, cache=False, resamples=50, **options
    )


def test_folds_of_a_pair_begin_with_the_regression_of_their_own_pictures() -> None:
    schedule = Schedule(epochs=1, batch_size=12)
    result = tune(pair("vit"), DATASET, folds=2, schedule=schedule, cache=False, resamples=50)
    assert (result.folds, result.parts["test"]) == (2, 24)
    notes = json.loads((result.folder / "pareja.json").read_text())
    assert notes["method"] == "lora"


def test_a_pair_has_no_common_space_to_train_otherwise() -> None:
    for method in ("full", "projection"):
        with pytest.raises(EncoderError, match="is a pair of networks that share no space"):
            tune(f"{folder('vit')}+{folder('sentence')}", DATASET, method=method)
    with pytest.raises(
        EncoderError, match=r"no weights that can be trained here\. Use `method='head'`"
    ):
        tune("starter-unaligned", DATASET)


SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "vocab_size": 60,
}
TEXT_NETWORKS = {
    "BertModel": transformers.BertConfig(**SIZES),
    "DistilBertModel": transformers.DistilBertConfig(
        dim=16, hidden_dim=24, n_layers=3, n_heads=2, vocab_size=60
    ),
    "MPNetModel": transformers.MPNetConfig(**SIZES),
    "XLMRobertaModel": transformers.XLMRobertaConfig(**SIZES),
    "ModernBertModel": transformers.ModernBertConfig(
        **SIZES, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2
    ),
    "Gemma3TextModel": transformers.Gemma3TextConfig(
        **SIZES,
        num_key_value_heads=1,
        head_dim=8,
        sliding_window=4,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
    ),
}


class _Last(torch.nn.Module):
    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.network(**inputs).last_hidden_state
        return output.mean(dim=1)


@pytest.mark.parametrize("kind", TEXT_NETWORKS)
@torch.no_grad()
def test_every_text_network_has_an_attention_to_adapt_and_a_place_to_cut(kind: str) -> None:
    torch.manual_seed(0)
    network = getattr(transformers, kind)(TEXT_NETWORKS[kind]).eval()
    inputs = {"input_ids": torch.randint(5, 60, (4, 9))}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    inputs["attention_mask"][0, 6:] = 0
    whole = _Last(network)(**inputs)
    module, below = adapt(network, Rank(rank=2, blocks=1))
    assert below == 2
    named = [name for name, _ in module.named_parameters() if ".lora_A." in name]
    assert len(named) in (2, 4)
    assert all(".2." in name and "att" in name for name in named)
    cut = Cut(_Last(module), below)
    np.testing.assert_allclose(cut.above(inputs, cut.hidden(inputs)), whole, atol=1e-6)


def test_a_network_without_attention_has_its_convolutions_adapted() -> None:
    network = transformers.ResNetModel.from_pretrained(folder("resnet"))
    module, below = adapt(network, Rank(rank=2, blocks=2))
    assert (below, blocks_of(module)[0]) == (2, "base_model.model.encoder.stages")
    named = [name for name, _ in module.named_parameters() if ".lora_A." in name]
    assert len(named) == 8
    assert all("stages.2" in name or "stages.3" in name for name in named)
    with pytest.raises(EncoderError, match="no blocks with attention or convolutions"):
        adapt(torch.nn.Linear(3, 3), Rank())
