from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

import pareja
from pareja.datasets import load_dataset
from pareja.encoders.loading import require_dual
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import DatasetError, EncoderError, OutputError
from pareja.tasks.merging import merge
from pareja.tasks.tuned import Tuned
from pareja.tasks.tuning import new_encoder, tune
from pareja.tasks.tuning_export import tuned_to_json
from pareja.training.lora import Rank
from pareja.training.material import token_rows
from pareja.training.methods import NETWORK_METHODS, Method
from pareja.training.schedule import Schedule
from pareja.training.scratch import Plan, make_checkpoint

SMALL = Plan(side=24, patch=8, width=32, heads=4, image_blocks=3, text_blocks=2, dim=16)
QUICK = Schedule(epochs=2, batch_size=16, learning_rate=3e-3)


def untrained(family: Literal["clip", "siglip"], factory: pytest.TempPathFactory) -> Path:
    folder = factory.mktemp(family)
    texts = [r.caption for name in ("shapes:200", "shapes-new:100") for r in load_dataset(name)]
    make_checkpoint(folder, replace(SMALL, family=family), texts, seed=1)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained("clip", tmp_path_factory)


@pytest.fixture(scope="module", params=["clip", "siglip"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(request.param, tmp_path_factory)


def tuned(base: Path, method: Method = "lora", **changes: Any) -> Tuned:
    options = {"schedule": QUICK, "resamples": 50, "cache": False, "rank": Rank(rank=2)}
    options |= {"folds": 0, "keep": False}
    # Compiling networks for OpenVINO takes longer than training these.
    encoder = pareja.load(base, device="cpu", precision="float32")
    return tune(encoder, "shapes:40", method=method, **{**options, **changes})


@pytest.mark.parametrize("method", [*NETWORK_METHODS, "projection"])
def test_a_tuned_encoder_is_another_space_and_loads_from_its_folder(
    either: Path, method: Method, tmp_path: Path
) -> None:
    if method == "projection" and "siglip" in (either / "config.json").read_text():
        with pytest.raises(EncoderError, match="no visual_projection"):
            tuned(either, method)
        return
    result = tuned(either, method)
    assert result.parts == {"train": 28, "validation": 6, "test": 6}
    assert result.encoder.image_fingerprint != result.base.image_fingerprint
    json.dumps(tuned_to_json(result), allow_nan=False)
    record = (result.folder / "training.jsonl").read_text().splitlines()
    first = json.loads(record[0], parse_constant=pytest.fail)
    assert (first["epoch"], first["loss"], len(record)) == (0, None, len(result.history))
    saved = pareja.load(result.save(tmp_path / "mine"), device="cpu", precision="float32")
    texts = ["a red star above a blue ring", "a green square left of a black cross"]
    np.testing.assert_allclose(
        saved.encode_texts(texts),  # type: ignore[union-attr]
        result.encoder.encode_texts(texts),
        atol=1e-5,
    )
    if result.best:
        before = result.base.encode_texts(texts)
        assert np.abs(result.encoder.encode_texts(texts) - before).max() > 1e-4


def test_a_merged_adapter_is_a_plain_model_with_the_same_embeddings(
    either: Path, tmp_path: Path
) -> None:
    import transformers

    result = tuned(either)
    assert isinstance(result.encoder, NetworkDualEncoder)
    out = merge(result.encoder, tmp_path / "plain")
    plain = pareja.load(out, device="cpu", precision="float32")
    texts = ["a red star above a blue ring"]
    np.testing.assert_allclose(
        plain.encode_texts(texts),  # type: ignore[union-attr]
        result.encoder.encode_texts(texts),
        atol=1e-5,
    )
    assert plain.logit_terms == pytest.approx(result.encoder.logit_terms, rel=1e-5)  # type: ignore[union-attr]
    _, loading = transformers.AutoModel.from_pretrained(out, output_loading_info=True)
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    with pytest.raises(EncoderError, match="no plain model to write"):
        merge("starter", tmp_path / "starter")


def test_a_tuned_folder_holds_a_model_card_that_is_no_part_of_the_space(
    base: Path, tmp_path: Path
) -> None:
    from huggingface_hub import ModelCard

    result = tuned(base, folder=tmp_path / "mine")
    fingerprint = result.encoder.image_fingerprint
    card = ModelCard.load(result.folder / "README.md")
    assert card.data.library_name == "peft"
    assert "lora" in (card.data.tags or [])
    assert f"`{base.name}`" in card.text
    assert result.test is not None
    for change in result.test.changes.values():
        row = f"| {change.before} | {change.after} | {change.agreement.difference} |"
        assert row in card.text
    (result.folder / "README.md").unlink()
    assert pareja.load(result.folder).image_fingerprint == fingerprint  # type: ignore[union-attr]


# peft asks transformers whether gradients are checkpointed, under a name that it gives up.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
def test_peft_loads_the_folder_as_its_card_says(base: Path, tmp_path: Path) -> None:
    import peft
    import transformers

    result = tuned(base, folder=tmp_path / "mine", schedule=replace(QUICK, epochs=3, patience=0))
    assert isinstance(result.encoder, NetworkDualEncoder)
    plain = transformers.AutoModel.from_pretrained(base)
    model = peft.PeftModel.from_pretrained(plain, str(result.folder)).eval()
    texts = ["a red star above a blue ring", "a green square left of a black cross"]
    tokens = token_rows(result.encoder.tokeniser, texts)
    inputs = {name: torch.from_numpy(tokens[name]) for name in result.encoder.text_network.inputs}
    with torch.no_grad():
        found = model.get_text_features(**inputs)
    rows = getattr(found, "pooler_output", found).numpy()
    np.testing.assert_allclose(
        rows / np.linalg.norm(rows, axis=1, keepdims=True),
        result.encoder.encode_texts(texts),
        atol=1e-5,
    )


def test_only_the_towers_that_are_asked_for_change(base: Path) -> None:
    result = tuned(base, towers="text", schedule=replace(QUICK, epochs=3, patience=0))
    picture = load_dataset("shapes:1").records[0].source
    before, after = (
        pareja.embed(picture.read(), encoder, cache=False).vectors
        for encoder in (result.base, result.encoder)
    )
    np.testing.assert_allclose(before, after, atol=1e-6)


def test_an_adapter_is_refused_on_another_state_of_its_base(base: Path, tmp_path: Path) -> None:
    result = tuned(base, folder=tmp_path / "mine")
    notes = json.loads((result.folder / "pareja.json").read_text())
    other = tmp_path / "other"
    other.mkdir()
    texts = [record.caption for record in load_dataset("shapes:200")]
    make_checkpoint(other, replace(SMALL, family="clip"), texts, seed=2)
    notes["base"]["name"] = str(other)
    (result.folder / "pareja.json").write_text(json.dumps(notes))
    with pytest.raises(EncoderError, match="was trained on"):
        pareja.load(result.folder)


def test_labels_are_learned_from_prompts_and_measured_as_accuracy(base: Path) -> None:
    result = tuned(base, truth="category", test="shapes:12:1")
    assert result.test is not None
    assert set(result.test.changes) == {"accuracy"}
    assert result.test.changes["accuracy"].chance == pytest.approx(1 / 6)


def test_labels_that_the_test_part_lacks_are_still_choices(base: Path) -> None:
    drawn = load_dataset("shapes:40")
    two = {drawn.records[0].category, drawn.records[1].category}
    records = tuple(
        replace(
            record,
            extra=dict(record.extra)
            | {"split": "test" if record.category in two else ("val" if i % 4 == 0 else "train")},
        )
        for i, record in enumerate(drawn)
    )
    encoder = pareja.load(base, device="cpu", precision="float32")
    result = tune(
        encoder,
        replace(drawn, records=records),
        truth="category",
        schedule=replace(QUICK, epochs=1),
        resamples=50,
        cache=False,
        keep=False,
    )
    assert result.test is not None
    labels = {record.category for record in drawn}
    assert {record.category for record in result.test.dataset} == two
    assert set(result.test.texts) == labels
    assert result.test.changes["accuracy"].chance == pytest.approx(1 / len(labels))


def test_what_cannot_be_measured_is_refused_before_training(base: Path, tmp_path: Path) -> None:
    drawn = load_dataset("shapes:10")
    bare = replace(drawn, records=tuple(replace(r, captions=(), category=None) for r in drawn))
    for options in ({"others": [bare]}, {"test": bare}, {"test": bare, "truth": "category"}):
        with pytest.raises(DatasetError, match=r"needed to measure on|no picture has a category"):
            tuned(base, folder=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_what_is_forgotten_is_measured_on_other_pictures(base: Path) -> None:
    result = tuned(base, others=["shapes-new:10"])
    (other,) = result.others
    assert (other.name, len(other.dataset)) == ("shapes-new:10", 10)
    assert set(other.changes) == {"image_to_text", "text_to_image"}


def test_training_that_was_begun_with_other_settings_is_not_gone_on_with(
    base: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    (tmp_path / "mine.training").mkdir()
    (tmp_path / "mine.training" / "identity").write_text("of something else")
    with pytest.raises(OutputError, match="with other settings"):
        tuned(base, folder=out)
    assert not out.exists()


def test_what_cannot_be_learned_from_says_so(base: Path) -> None:
    with pytest.raises(EncoderError, match="no weights that can be trained"):
        tune("starter", "shapes:40")
    with pytest.raises(DatasetError, match="too few to learn"):
        tune(base, "shapes:5", keep=False)
    with pytest.raises(DatasetError, match="at least 4 are needed to hold on to"):
        tune(base, "shapes:40", keep="shapes:3")
    same = load_dataset("shapes:20")
    records = tuple(replace(record, captions=("the same",)) for record in same)
    with pytest.raises(DatasetError, match="all pictures have the same caption"):
        tune(base, replace(same, records=records), keep=False)


def test_a_head_makes_a_dual_encoder_of_a_pair(tmp_path: Path) -> None:
    schedule = Schedule(epochs=2, learning_rate=1e-3)
    result = tune("starter-unaligned", "pareja20", method="head", folds=0, schedule=schedule)
    assert result.base.kind == "pair"
    assert result.before.name == "starter-unaligned, ridge regression"
    assert result.encoder.image_fingerprint == result.encoder.text_fingerprint
    saved = require_dual(pareja.load(result.save(tmp_path / "mine")))
    records = load_dataset("pareja20").records
    similarity = (
        pareja.embed([r.source.read() for r in records], saved, cache=False).vectors
        @ saved.encode_texts([r.caption for r in records]).T
    )
    # It has learned from most of these, so their captions are found far above chance (0.05).
    assert np.mean(similarity.argmax(axis=1) == np.arange(20)) > 0.5
    notes = json.loads((tmp_path / "mine" / "pareja.json").read_text())
    notes["base"]["fingerprints"][0] = "0" * 16
    (tmp_path / "mine" / "pareja.json").write_text(json.dumps(notes))
    with pytest.raises(EncoderError, match="were trained on vectors of starter-unaligned"):
        pareja.load(tmp_path / "mine")


def test_few_pictures_are_cross_validated(base: Path) -> None:
    result = tuned(base, folds=None)
    assert result.folds == 5
    assert result.parts == {"train": 34, "validation": 6, "test": 40}
    assert result.test is not None
    # Eight pictures in each fold choose among the captions of that fold.
    assert {change.chance for change in result.test.changes.values()} == {1 / 8}
    by_label = tuned(base, folds=2, truth="category", schedule=replace(QUICK, epochs=1))
    assert by_label.test is not None
    assert len(by_label.test.dataset) == 40
    assert by_label.test.changes["accuracy"].chance == pytest.approx(1 / 6)


def test_half_of_what_is_held_on_to_is_measured(base: Path) -> None:
    result = tuned(base, keep="shapes-new:40")
    assert result.kept == "shapes-new:40"
    (other,) = result.others
    assert other.name == "½ shapes-new:40"
    assert [r.file_name for r in other.dataset] == [f"{i:06}.png" for i in range(1, 40, 2)]
    assert tuned(base).kept is None


def test_a_training_that_fails_leaves_nothing_behind(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def stop(what: str, *_: object) -> None:
        if what == "steps":
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        tuned(base, progress=stop)
    assert not list(tmp_path.iterdir())


def test_a_new_encoder_is_made_from_a_plan(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"side": 24, "width": 32, "image_blocks": 2, "dim": 16}))
    (tmp_path / "new").mkdir()
    new_encoder(plan, "shapes:30", tmp_path / "new")
    encoder = pareja.load(tmp_path / "new", device="cpu")
    assert encoder.encode_texts("a red star").shape == (16,)  # type: ignore[union-attr]
    plan.write_text(json.dumps({"side": 25}))
    with pytest.raises(EncoderError, match="side must be a multiple of patch"):
        new_encoder(plan, "shapes:30", tmp_path / "new")
    for wrong in ({"patch": 0}, {"family": "align"}, {"width": "wide"}, {"dim": 8.0}):
        plan.write_text(json.dumps(wrong))
        with pytest.raises(EncoderError, match=f"got {next(iter(wrong))} "):
            new_encoder(plan, "shapes:30", tmp_path / "new")
    with pytest.raises(EncoderError, match="cannot be read: No such file"):
        new_encoder(tmp_path / "none.json", "shapes:30", tmp_path / "new")
    plan.write_text(json.dumps({"sides": 24}))
    with pytest.raises(EncoderError, match="no plan of an encoder"):
        new_encoder(plan, "shapes:30", tmp_path / "new")


def test_the_seed_decides_the_weights(base: Path) -> None:
    texts = ["a red star above a blue ring"]
    torch.manual_seed(5)
    first = tuned(base).encoder.encode_texts(texts)
    torch.manual_seed(6)
    np.testing.assert_array_equal(tuned(base).encoder.encode_texts(texts), first)


def test_a_softmax_encoder_learns_with_the_sigmoid_loss(base: Path, tmp_path: Path) -> None:
    schedule = replace(QUICK, epochs=3, patience=0)
    result = tuned(base, loss="sigmoid", schedule=schedule, folder=tmp_path / "mine")
    # About as many of the first batch's pairs are taken for right as there are: one in each row.
    assert result.history[1].loss < 8
    saved = require_dual(pareja.load(tmp_path / "mine", device="cpu", precision="float32"))
    assert saved.loss == "sigmoid"
    low = float(saved.logits(np.zeros((1, 1)))[0, 0])
    assert low < -2
    with pytest.raises(EncoderError, match=r"trained with the sigmoid loss.*logits of softmax"):
        merge(saved, tmp_path / "plain")
    with pytest.raises(EncoderError, match=r"`loss='sigmoid'` has no place there"):
        tuned(base, "full", loss="sigmoid")


def test_every_stage_says_how_far_it_is(base: Path) -> None:
    shown: dict[str, list[tuple[int, int]]] = {}

    def progress(what: str, done: int, of: int, loss: float | None) -> None:
        assert (loss is None) == (what != "steps")
        shown.setdefault(what, []).append((done, of))

    tuned(base, rank=Rank(rank=2, blocks=1), towers="image", progress=progress)
    assert list(shown) == ["pictures", "text network", "image network", "steps"]
    assert shown["pictures"] == [(32, 40), (40, 40)]
    assert shown["image network"] == [(40, 40)]
    assert shown["text network"][-1][0] == shown["text network"][-1][1] > 30
    assert shown["steps"] == [(step, 4) for step in range(1, 5)]
