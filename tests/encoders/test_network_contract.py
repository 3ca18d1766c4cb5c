"""The contract of all encoders, run by those over tiny networks of every architecture.

Networks are read from folders, so that they keep a further contract: broken weights are refused,
settings in the folder's files are followed, and the fingerprint tells vectors apart.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from encoder_contract import EncoderContract, pictures
from safetensors.torch import load_file, save_file
from tiny_models import LONG, folder, write_image_settings, write_json

from pareja.encoders import Encoder, load
from pareja.encoders.protocols import Fingerprint
from pareja.errors import EncoderError


def tiny(name: str) -> Encoder:
    return cast(Encoder, load(name, device="cpu", precision="float32"))


class NetworkContract(EncoderContract):
    """Subclass it, and name the folders: one of a dual encoder, or two of a pair."""

    kinds: tuple[str, ...]

    def make(self) -> Encoder:
        return tiny("+".join(str(folder(kind)) for kind in self.kinds))

    def copy(self, place: Path) -> list[Path]:
        """Copy the folders, so that the test may change them."""
        return [shutil.copytree(folder(kind), place / kind) for kind in self.kinds]

    def opened(self, folders: Sequence[Path]) -> Encoder:
        return tiny("+".join(map(str, folders)))

    @pytest.mark.parametrize("number", [np.nan, np.inf])
    @pytest.mark.parametrize("what", ["images", "texts"])
    def test_weights_that_are_not_finite_are_refused(
        self, what: str, number: float, tmp_path: Path
    ) -> None:
        folders = self.copy(tmp_path)
        file = (folders[0] if what == "images" else folders[-1]) / "model.safetensors"
        tensors = load_file(file)
        unused = ("pooler", "classifier", "audio", {"images": "text", "texts": "vis"}[what])
        name = min(n for n in tensors if tensors[n].dim() > 1 and not any(u in n for u in unused))
        tensors[name].view(-1)[1] = number
        save_file(tensors, file, metadata={"format": "pt"})
        broken: Any = self.opened(folders)
        with pytest.raises(EncoderError, match=r"its weights are broken: .* not finite"):
            broken.encode_images(pictures()) if what == "images" else broken.encode_texts(["a"])

    def test_a_folder_that_is_moved_keeps_its_fingerprint(self, tmp_path: Path) -> None:
        moved, here = self.opened(self.copy(tmp_path)), self.make()
        assert moved.image_fingerprint == here.image_fingerprint
        assert moved.text_fingerprint == here.text_fingerprint

    def test_other_weights_have_another_fingerprint(self, tmp_path: Path) -> None:
        folders = self.copy(tmp_path)
        for place in folders:
            tensors = load_file(place / "model.safetensors")
            tensors[min(tensors)] += 0.5
            save_file(tensors, place / "model.safetensors", metadata={"format": "pt"})
        self.assert_other(prints(self.opened(folders)), prints(self.make()))

    def test_a_setting_of_pictures_changes_vectors_and_fingerprint(self, tmp_path: Path) -> None:
        folders = self.copy(tmp_path)
        changed = {"image_mean": [0.1, 0.2, 0.3], "do_normalize": True}
        write_image_settings(folders[0], **changed)
        mine, plain = self.opened(folders), self.make()
        assert mine.image_fingerprint != plain.image_fingerprint
        assert off(mine.encode_images(pictures()), plain.encode_images(pictures())) > 1e-3

    @pytest.mark.filterwarnings("ignore::pareja.encoders.protocols.TruncationWarning")
    @pytest.mark.parametrize("setting", [{"truncation_side": "left"}, {"model_max_length": 12}])
    def test_a_setting_of_texts_changes_vectors_and_fingerprint(
        self, setting: dict[str, Any], tmp_path: Path
    ) -> None:
        folders = self.copy(tmp_path)
        write_json(folders[-1] / "tokenizer_config.json", **setting)
        if (folders[-1] / "modules.json").exists():
            write_json(folders[-1] / "sentence_bert_config.json", max_seq_length=None)
        mine, plain = self.opened(folders), self.make()
        assert mine.text_fingerprint != plain.text_fingerprint
        texts = ["a dog " + LONG]
        assert off(mine.encode_texts(texts), plain.encode_texts(texts)) > 1e-3

    def test_settings_without_effect_change_no_vector(self, tmp_path: Path) -> None:
        folders = self.copy(tmp_path)
        write_image_settings(folders[0], do_convert_rgb=False)
        write_json(folders[-1] / "tokenizer_config.json", clean_up_tokenization_spaces=True)
        config = json.loads((folders[0] / "config.json").read_text())
        write_json(folders[0] / "config.json", dtype="float16", return_dict=False)
        assert config.get("dtype") != "float16"
        mine, plain = self.opened(folders), self.make()
        assert not off(mine.encode_images(pictures()), plain.encode_images(pictures()))
        assert not off(mine.encode_texts(["a dog"]), plain.encode_texts(["a dog"]))

    def assert_other(self, mine: Sequence[Fingerprint], plain: Sequence[Fingerprint]) -> None:
        assert all(a.digest != b.digest for a, b in zip(mine, plain, strict=True))


def prints(encoder: Encoder) -> tuple[Fingerprint, Fingerprint]:
    return encoder.image_fingerprint, encoder.text_fingerprint


def off(mine: Any, right: Any) -> float:
    return float(np.abs(mine - right).max())


class TestClipContract(NetworkContract):
    kinds = ("clip",)

    def others(self) -> Sequence[Encoder]:
        return [tiny(str(folder("siglip"))), tiny(str(folder("aimv2")))]


class TestSiglipContract(NetworkContract):
    kinds = ("siglip",)

    def others(self) -> Sequence[Encoder]:
        return [tiny(str(folder("siglip2")))]


class TestSiglip2Contract(NetworkContract):
    kinds = ("siglip2",)


class TestMetaClip2Contract(NetworkContract):
    kinds = ("metaclip2",)


class TestAimv2Contract(NetworkContract):
    kinds = ("aimv2",)


class TestSiglip2NaflexContract(NetworkContract):
    kinds = ("naflex",)

    def others(self) -> Sequence[Encoder]:
        return [tiny(str(folder("siglip2")))]


class TestTipsv2Contract(NetworkContract):
    kinds = ("tipsv2",)


class TestEmbeddingGemma2Contract(NetworkContract):
    kinds = ("gemma",)

    def others(self) -> Sequence[Encoder]:
        return [tiny(str(folder("siglip2")))]


class TestResnetAndSentenceContract(NetworkContract):
    kinds = ("resnet", "sentence")

    def others(self) -> Sequence[Encoder]:
        return [tiny(f"{folder('vit')}+{folder('clip')}")]


class TestVitAndSentenceContract(NetworkContract):
    kinds = ("vit", "sentence")


class TestDinov2AndSentenceContract(NetworkContract):
    kinds = ("dinov2", "sentence")


class TestDinov3AndSentenceContract(NetworkContract):
    kinds = ("dinov3", "sentence")
