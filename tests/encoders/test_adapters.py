from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from tiny_models import TEXTS, altered, folder, pictures

import pareja
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import EncoderError

# peft asks transformers whether gradients are checkpointed, under a name that it gives up.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")


def loaded(path: Path) -> NetworkDualEncoder:
    found = pareja.load(path, device="cpu", precision="float32")
    assert isinstance(found, NetworkDualEncoder)
    return found


def trained_elsewhere(kind: str, out: Path, base: Path | None = None, **options: Any) -> Any:
    """Return a model of transformers with an adapter of PEFT that is not at its start."""
    model = transformers.AutoModel.from_pretrained(base or folder(kind))
    torch.manual_seed(0)
    config = peft.LoraConfig(
        target_modules=["q_proj", "v_proj"], init_lora_weights=False, **options
    )
    adapted = peft.get_peft_model(model, config)
    adapted.save_pretrained(str(out))
    return adapted.eval()


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_an_adapter_that_peft_has_trained_loads(kind: str, tmp_path: Path) -> None:
    model = trained_elsewhere(kind, tmp_path, use_dora=kind == "clip")
    encoder, base = loaded(tmp_path), loaded(folder(kind))
    assert encoder.fingerprint != base.fingerprint
    assert encoder.logit_terms == base.logit_terms
    pixels = np.stack([encoder.prepare(picture) for picture in pictures()])
    with torch.no_grad():
        images = model.get_image_features(
            pixel_values=torch.from_numpy(encoder.preprocessing.normalise(pixels))
        ).pooler_output.numpy()
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    np.testing.assert_allclose(encoder.encode_pixels(pixels), images, atol=1e-5)
    assert np.abs(encoder.encode_texts(TEXTS) - base.encode_texts(TEXTS)).max() > 1e-3


def test_an_adapter_of_another_network_is_refused(tmp_path: Path) -> None:
    trained_elsewhere("clip", tmp_path / "mine")
    settings = tmp_path / "mine" / "adapter_config.json"

    def point(base: Path) -> NetworkDualEncoder:
        content = json.loads(settings.read_text()) | {"base_model_name_or_path": str(base)}
        settings.write_text(json.dumps(content))
        return loaded(tmp_path / "mine")

    shallow = altered("clip", tmp_path / "shallow")
    config: Any = transformers.CLIPConfig.from_pretrained(shallow)
    config.vision_config.num_hidden_layers = 1
    transformers.CLIPModel(config).save_pretrained(shallow)
    with pytest.raises(
        EncoderError, match=r"4 of its weights have no place in the model.*layers\.1"
    ):
        point(shallow).encode_images(pictures()[0])
    wide = altered("clip", tmp_path / "wide")
    config.vision_config.num_hidden_layers = 2
    config.vision_config.hidden_size = 64
    transformers.CLIPModel(config).save_pretrained(wide)
    with pytest.raises(EncoderError, match=r"its weights do not fit the model.*size mismatch"):
        point(wide).encode_images(pictures()[0])
    weights = tmp_path / "mine" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(EncoderError, match="cannot be read"):
        point(folder("clip")).encode_texts("a cat")
