"""The two losses of dual encoders: softmax (CLIP) and sigmoid (SigLIP)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as functional

Loss = Literal["softmax", "sigmoid"]
"""How an encoder was trained, and is trained further."""


def contrastive(
    images: torch.Tensor,
    texts: torch.Tensor,
    *,
    loss: Loss,
    scale: torch.Tensor,
    bias: torch.Tensor,
    same: torch.Tensor,
) -> torch.Tensor:
    """Return the loss of a batch of pictures and as many texts, row i of both being a pair.

    Parameters
    ----------
    images, texts
        Embeddings of length 1, ``(n, dim)``.
    loss
        ``"softmax"``: the mean of both directions' cross entropy (Radford et al. 2021, figure 3).
        ``"sigmoid"``: the sum over all combinations of the logistic loss, divided by n (Zhai et
        al. 2023, algorithm 1).
    scale, bias
        What the cosines are multiplied by, and what is added then, scalars. The softmax does not
        feel the bias.
    same
        ``(n, n)`` bool: whether text j is as right for picture i as its own. Such combinations
        are no negatives: the softmax leaves them out, the sigmoid takes them as positives. The
        diagonal is True.
    """
    logits = scale * images @ texts.T + bias
    if loss == "sigmoid":
        signs = torch.where(same, 1.0, -1.0)
        return -functional.logsigmoid(signs * logits).sum() / len(images)
    own = torch.eye(len(images), dtype=torch.bool, device=images.device)
    logits = logits.masked_fill(same & ~own, -torch.inf)
    answers = torch.arange(len(images), device=images.device)
    return (
        functional.cross_entropy(logits, answers) + functional.cross_entropy(logits.T, answers)
    ) / 2
