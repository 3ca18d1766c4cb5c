"""Networks run by torch: on CUDA, on Apple's GPU, or on the CPU."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from pareja.encoders.backends.network import Device, Network, Precision


class TorchTower:
    """A `Tower` run by torch.

    Parameters
    ----------
    network
        What to build.
    device
        ``"cuda"``, ``"mps"`` or ``"cpu"``.
    precision
        What the network computes in, ``"float32"`` or ``"bfloat16"``.
    """

    def __init__(self, network: Network, device: Device, precision: Precision) -> None:
        self.device = device
        self.precision = precision
        self._dtype = getattr(torch, precision)
        self._inputs = network.inputs
        self._module = network.build().to(device=device, dtype=self._dtype)
        if network.preprocessing is not None:
            # (x scale - mean) / std as one multiplication and one subtraction.
            mean, std = (
                torch.tensor(colour, dtype=torch.float64)
                for colour in (network.preprocessing.mean, network.preprocessing.std)
            )
            self._factor = (network.preprocessing.scale / std).float()[:, None, None].to(device)
            self._shift = (mean / std).float()[:, None, None].to(device)

    @torch.inference_mode()
    def __call__(self, **inputs: NDArray[np.uint8] | NDArray[np.int64]) -> NDArray[np.float32]:
        """Run the network on one batch, as `Tower` describes."""
        tensors = {
            name: torch.as_tensor(np.ascontiguousarray(array)).to(self.device, non_blocking=True)
            for name, array in inputs.items()
        }
        if "pixels" in tensors:
            pixels = tensors["pixels"].permute(0, 3, 1, 2).float() * self._factor - self._shift
            tensors["pixel_values"] = pixels.to(self._dtype)
        arguments = [tensors[name] for name in self._inputs]
        result: NDArray[np.float32] = self._module(*arguments).float().cpu().numpy()
        return result
