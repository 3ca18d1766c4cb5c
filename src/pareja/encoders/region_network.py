"""What each place of a picture adds to the picture's own embedding, in one forward pass.

An embedding of a vision transformer is a sum over the patches that its pooling token looked at
(Gandelsman et al. 2024, "Interpreting CLIP's Image Representation via Text-Based Decomposition",
section 3). With attention weights and layer norms held at what they are for this picture, the way
from a patch to the embedding is linear, so that each patch has a share, in the space of the texts.

Some networks pool by a class token (CLIP, EVA-CLIP), which looks at the patches in every layer: all
of these looks are added up. Others pool once, after the last layer (SigLIP, AIMv2), when the
patches have long mixed: what the pooling looks at is led back by one step to the patches that it
came from. What only the multi-layer perceptrons and offsets add has no place, and is in no share.

Here is what is the same for all networks. `region_towers` says where each keeps its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn import functional

_FEW = 400
"""Tokens up to which all layers' attention weights are kept, which more would make gigabytes of."""

Heads = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Queries, keys and values of a layer, ``(n, heads, t, dim / heads)`` each."""


class Block(NamedTuple):
    """One layer of a vision transformer.

    Parameters
    ----------
    heads
        Makes queries, keys and values of what goes into the layer, ``(n, t, dim)``.
    out, offset
        Weight ``(dim, dim)`` and bias of what brings the heads together.
    rest
        What the perceptron adds to what comes out of the attention.
    inner
        A layer norm between the attention and `out`; None in most networks.
    """

    heads: Callable[[torch.Tensor], Heads]
    out: torch.Tensor
    offset: torch.Tensor | None
    rest: Callable[[torch.Tensor], torch.Tensor]
    inner: torch.nn.LayerNorm | None = None

    def mix(self, heads: Heads) -> torch.Tensor:
        """Let the tokens look at each other, ``(n, t, dim)``."""
        mixed = functional.scaled_dot_product_attention(*heads)
        return mixed.transpose(1, 2).flatten(2)

    def add(self, hidden: torch.Tensor, mixed: torch.Tensor) -> torch.Tensor:
        """Return what comes out of the layer."""
        normed = mixed if self.inner is None else self.inner(mixed)
        hidden = hidden + functional.linear(normed, self.out, self.offset)
        return hidden + self.rest(hidden)


class Pooling(NamedTuple):
    """Attention of one learnt query over all patches, after the last layer.

    Parameters
    ----------
    queries
        ``(1, heads, 1, dim / heads)``.
    keys, values
        Weight and bias of the keys, and the weight of the values.
    out
        Weight of what brings the heads together.
    """

    queries: torch.Tensor
    keys: tuple[torch.Tensor, torch.Tensor | None]
    values: torch.Tensor
    out: torch.Tensor


def class_token_shares(
    blocks: Sequence[Block], hidden: torch.Tensor, norm: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a network that pools by its first token, and add up what that takes from each patch.

    Parameters
    ----------
    blocks
        The layers.
    hidden
        What goes into the first one, ``(n, 1 + patches, dim)``.
    norm
        The layer norm of what is pooled.

    Returns
    -------
    pooled
        The first token after `norm`, ``(n, 1, dim)``.
    shares
        Each patch's share of it, ``(n, patches, dim)``.
    """
    taken = torch.zeros_like(hidden)
    for block in blocks:
        queries, keys, values = heads = block.heads(hidden)
        mixed = block.mix(heads)
        # Of the class token alone, the first: how much it takes of each token, (n, heads, 1, t).
        weights = _weights(queries[:, :, :1], keys)
        looked = (weights.transpose(2, 3) * values).transpose(1, 2).flatten(2)
        if block.inner is not None:
            looked = _scaled(looked, block.inner, _deviation(mixed[:, :1], block.inner))
        taken = taken + functional.linear(looked, block.out)
        hidden = block.add(hidden, mixed)
    pooled = hidden[:, :1]
    return norm(pooled), _scaled(taken[:, 1:], norm, _deviation(pooled, norm))


def pooled_shares(
    blocks: Sequence[Block], embedded: torch.Tensor, norm: Any, pooling: Pooling
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a network that pools after its last layer, and lead that back to the patches.

    Parameters
    ----------
    blocks
        The layers, none of them with an inner norm.
    embedded
        What goes into the first one, ``(n, patches, dim)``.
    norm
        The norm between the last layer and the pooling.
    pooling
        The pooling.

    Returns
    -------
    normed
        What the pooling looks at, ``(n, patches, dim)``.
    shares
        Each patch's share of what the pooling makes of it, ``(n, patches, dim)``.
    """
    hidden, few = embedded, embedded.shape[1] <= _FEW
    steps: list[tuple[tuple[torch.Tensor, ...], torch.Tensor]] = []
    for block in blocks:
        queries, keys, values = heads = block.heads(hidden)
        if few:
            weights = _weights(queries, keys)
            mixed = (weights @ values).transpose(1, 2).flatten(2)
            steps.append(((weights,), values))
        else:
            mixed = block.mix(heads)
            steps.append(((queries, keys), values))
        hidden = block.add(hidden, mixed)
    count, normed = pooling.queries.shape[1], norm(hidden)
    keys = split(functional.linear(normed, *pooling.keys), count)
    # How much each head takes of each token, with the norm's division: (n, heads, t).
    looks = _weights(pooling.queries, keys)[:, :, 0] / _deviation(hidden, norm).transpose(1, 2)
    # The embedded patches themselves went through every layer unchanged, in the residual.
    direct = split(functional.linear(_scaled(embedded, norm), pooling.values), count)
    parts = list((looks.unsqueeze(3) * direct).unbind(1))
    for (looked, values), block in zip(steps, blocks, strict=True):
        weights = looked[0] if few else _weights(*looked)
        # What the pooling takes of a patch by way of all tokens that looked at it:
        # (n, heads of the layer, heads of the pooling, t).
        via = looks.unsqueeze(1) @ weights
        # From the heads of the layer to those of the pooling, by way of the last norm.
        into = (pooling.values @ _scaled(block.out.T, norm).T).chunk(count)
        for number, rows in enumerate(into):
            taken = values * via[:, :, number].unsqueeze(3)
            moved = functional.linear(taken.transpose(1, 2).flatten(2), rows)
            parts[number] = parts[number] + moved
    return normed, functional.linear(torch.cat(parts, dim=2), pooling.out)


def split(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """Bring ``(n, t, dim)`` to ``(n, heads, t, dim / heads)``."""
    return tensor.view(*tensor.shape[:2], heads, -1).transpose(1, 2)


def _weights(queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    return torch.softmax(queries @ keys.transpose(2, 3) * queries.shape[-1] ** -0.5, dim=-1)


def _is_rms(norm: Any) -> bool:
    """Whether a norm divides by the root mean square alone, and takes no mean away."""
    return not isinstance(norm, torch.nn.LayerNorm)


def _epsilon(norm: Any) -> float:
    epsilon: float = norm.variance_epsilon if _is_rms(norm) else norm.eps
    return epsilon


def _deviation(hidden: torch.Tensor, norm: Any) -> torch.Tensor:
    """Return what a norm divides by, ``(n, t, 1)``."""
    centred = hidden if _is_rms(norm) else hidden - hidden.mean(-1, keepdim=True)
    return (centred.square().mean(-1, keepdim=True) + _epsilon(norm)).sqrt()


def _scaled(part: torch.Tensor, norm: Any, deviation: torch.Tensor | float = 1.0) -> torch.Tensor:
    """Put a part of a sum through a norm whose divisor is that of the whole sum."""
    centred = part if _is_rms(norm) else part - part.mean(-1, keepdim=True)
    scaled: torch.Tensor = centred / deviation * norm.weight
    return scaled
