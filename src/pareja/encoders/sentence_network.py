"""The layers of sentence-transformers over a transformers model, as one torch module."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from pareja.encoders.sentence_modules import Layer, pooling_modes
from pareja.encoders.weights import read_tensors


class SentenceNetwork(torch.nn.Module):
    """Token ids to one vector a text.

    Parameters
    ----------
    transformer
        Gives ``last_hidden_state``, ``(n, length, hidden)``.
    layers
        What follows it, in order: one Pooling, and Dense and Normalize as they come.
    """

    def __init__(self, transformer: torch.nn.Module, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.transformer = transformer
        self.modes: list[str] = []
        for layer in layers:
            if layer.kind == "Pooling":
                self.modes = pooling_modes(layer)
        self.after = after_pooling(layers)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return one vector a text, ``(n, dim)``."""
        output = self.transformer(input_ids=input_ids, attention_mask=attention_mask)
        hidden = output.last_hidden_state
        mask = attention_mask[:, :, None].to(hidden.dtype)
        result = torch.cat([_POOLS[mode](hidden, mask) for mode in self.modes], dim=1)
        pooled: torch.Tensor = self.after(result)
        return pooled


def after_pooling(layers: Sequence[Layer]) -> torch.nn.Sequential:
    """Return what turns a pooled vector into the final one."""
    kinds = {"Dense": _dense, "Normalize": lambda _: _Normalize(), "Truncate": _Truncate}
    return torch.nn.Sequential(
        *(kinds[layer.kind](layer) for layer in layers if layer.kind in kinds)
    )


class _Truncate(torch.nn.Module):
    """The first numbers of each row."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.dim: int = layer.settings["dim"]

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return vectors[:, : self.dim]


class _Normalize(torch.nn.Module):
    """Rows to length 1."""

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return functional.normalize(vectors, dim=1)


def _mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)


def _mean_sqrt(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9).sqrt()


def _max(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return hidden.masked_fill(mask == 0, float("-inf")).max(dim=1).values


def _weighted_mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    # The first token counts 1, the second 2, and so on.
    weights = mask * mask.cumsum(1)
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9)


def _last_token(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    last = (mask.cumsum(1) == mask.sum(1, keepdim=True)) * mask
    return (hidden * last).sum(1)


_POOLS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "cls": lambda hidden, mask: hidden[:, 0],
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weighted_mean,
    "lasttoken": _last_token,
}


def _dense(layer: Layer) -> torch.nn.Module:
    """Make a linear layer and its activation, with the weights of its own folder."""
    settings, checkpoint = layer.settings, layer.checkpoint
    named = settings.get("activation_function", "torch.nn.modules.activation.Tanh")
    named = named or "torch.nn.Identity"
    activation = getattr(torch.nn, named.rpartition(".")[2], None)
    if not named.startswith("torch.nn.") or not isinstance(activation, type):
        raise checkpoint.error(f"its Dense has the activation {named!r}, which torch does not have")
    linear = torch.nn.Linear(
        settings["in_features"], settings["out_features"], bias=settings.get("bias", True)
    )
    weights = read_tensors(checkpoint)
    try:
        linear.load_state_dict({key.removeprefix("linear."): weights[key] for key in weights})
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise checkpoint.error(f"the weights of its Dense do not fit: {reason}") from error
    return torch.nn.Sequential(linear, activation())
