"""The network of EfficientNet-Lite2, built for OpenVINO from its weights alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pareja.encoders.backends.forks import refuse_after_fork
from pareja.encoders.backends.openvino_tower import settings, with_pixels
from pareja.encoders.backends.runtime import openvino
from pareja.encoders.preprocessing import Preprocessing
from pareja.encoders.protocols import Pixels

ops = openvino.opset13
# The names and the shapes of the weights tell everything else of the network.
_HALVING = {1, 4, 7, 15}  # the blocks with stride 2
_EPSILON = 1e-3  # of the batch norms

Weights = Mapping[str, NDArray[np.float32]]


class EfficientNetLiteNetwork:
    """The network, loaded; several threads may call it, one after the other.

    Parameters
    ----------
    weights
        Its tensors, named as in the package ``efficientnet_lite_pytorch``.
    preprocessing
        What normalises the pixels; that is done inside the network.
    cells
        Whether each place of the last feature map is classified as well.
    """

    def __init__(
        self, weights: Weights, preprocessing: Preprocessing, *, cells: bool = False
    ) -> None:
        # One picture at a time on each core: what its layers compute fits into the cache, and that
        # of a batch does not. Nor can a picture's features depend on those beside it.
        model = with_pixels(_model(weights, preprocessing.side, cells), preprocessing)
        self._process = os.getpid()
        self._compiled = openvino.Core().compile_model(
            model, "CPU", settings("float32", "THROUGHPUT")
        )
        self._queue = openvino.AsyncInferQueue(self._compiled)
        self._lock = threading.Lock()

    def __call__(self, pixels: Pixels) -> list[NDArray[np.float32]]:
        """Return what the network gives for ``(n, side, side, 3)``.

        Features ``(n, 1280)`` and logits ``(n, 1000)``; with `cells` also the logits of each place,
        ``(n, rows, cols, 1000)``, whose mean is that of the picture.
        """
        pixels = np.ascontiguousarray(pixels)
        results = [
            np.empty((len(pixels), *output.shape[1:]), np.float32)
            for output in self._compiled.outputs
        ]

        def keep(request: Any, row: int) -> None:
            for number, result in enumerate(results):
                result[row] = request.get_output_tensor(number).data[0]

        refuse_after_fork(self._process, "EfficientNet-Lite2")
        with self._lock:
            self._queue.set_callback(keep)
            try:
                for row in range(len(pixels)):
                    self._queue.start_async([pixels[row : row + 1]], row, share_inputs=True)
            finally:
                # Also after Ctrl+C: a request that still runs reads these pixels, calls Python from
                # a thread of its own, and aborts the process if Python is about to end.
                self._queue.wait_all()
        return results


def _model(weights: Weights, side: int, cells: bool) -> openvino.Model:
    """Build the network for one normalised picture, ``(1, 3, side, side)``."""
    picture = ops.parameter([1, 3, side, side], np.float32)
    flow = _convolution(picture, weights, "_conv_stem", "_bn0", stride=2)
    block = 0
    while f"_blocks.{block}._project_conv.weight" in weights:
        prefix, before = f"_blocks.{block}.", flow
        if f"{prefix}_expand_conv.weight" in weights:
            flow = _convolution(flow, weights, f"{prefix}_expand_conv", f"{prefix}_bn0")
        stride = 2 if block in _HALVING else 1
        flow = _convolution(
            flow, weights, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride=stride
        )
        flow = _convolution(flow, weights, f"{prefix}_project_conv", f"{prefix}_bn2", clip=False)
        if flow.get_output_shape(0) == before.get_output_shape(0):
            flow = ops.add(flow, before)
        block += 1
    flow = _convolution(flow, weights, "_conv_head", "_bn1")
    features = ops.reduce_mean(flow, np.array([2, 3]), keep_dims=False)
    classified = [features] + [ops.transpose(flow, np.array([0, 2, 3, 1]))] * cells
    # The classifier is linear, so that it may come before the mean over the places.
    logits = [
        ops.add(
            ops.matmul(source, ops.constant(weights["_fc.weight"]), False, True),
            ops.constant(weights["_fc.bias"]),
        )
        for source in classified
    ]
    return openvino.Model([features, *logits], [picture])


def _convolution(
    source: Any, weights: Weights, name: str, norm: str, *, stride: int = 1, clip: bool = True
) -> Any:
    """Add a convolution with its batch norm folded into it, and ReLU6 if `clip`."""
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + _EPSILON)
    shift = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    kernel = (weights[f"{name}.weight"] * scale[:, None, None, None]).astype(np.float32)
    convolve = ops.convolution
    if kernel.shape[1] == 1:
        kernel, convolve = kernel[:, None], ops.group_convolution
    # Of an array that is no constant yet, OpenVINO makes a list of Python's numbers first.
    kernel, shift = (
        ops.constant(array) for array in (kernel, shift[None, :, None, None].astype(np.float32))
    )
    # As TensorFlow pads: one more at the end where the two ends cannot have the same.
    result = convolve(source, kernel, [stride] * 2, [0, 0], [0, 0], [1, 1], auto_pad="same_upper")
    result = ops.add(result, shift)
    return ops.clamp(result, 0.0, 6.0) if clip else result
