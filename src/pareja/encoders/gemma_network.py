"""EmbeddingGemma 2's network for texts, and for pictures as `SoftTokens` packs them.

transformers' own forward puts the tokens of a picture between those of its text, as many as the
picture has, which cannot be converted. Attention only asks for the places of tokens, and averaging
for none: here every picture has as many tokens as a picture may have, behind all of its text, and
each token is told its place. Those that a picture does not have are masked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from pareja.encoders.backends.network import Modality
from pareja.encoders.naflex_network import unpacked


def gemma_forward(modality: Modality, empty: Sequence[int]) -> Callable[..., torch.Tensor]:
    """Return what takes the place of the model's ``forward``.

    Parameters
    ----------
    modality
        ``"text"`` takes ids and mask, ``"fused"`` pixels, ids and mask, ``"image"`` pixels.
    empty
        The ids of a text without words, which stand around a picture that is alone.
    """

    def text(self: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        place = torch.arange(input_ids.shape[1], device=input_ids.device)
        return _pooled(
            self, _words(self, input_ids), attention_mask.bool(), place.expand(input_ids.shape)
        )

    def fused(
        self: Any, pixel_values: torch.Tensor, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> torch.Tensor:
        seen, there = _seen(self, pixel_values)
        mask = attention_mask.bool()
        ends = torch.tensor(
            [[self.config.boi_token_id, self.config.eoi_token_id]], device=input_ids.device
        ).expand(input_ids.shape[0], -1)
        borders = _words(self, ends)
        embeds = torch.cat([_words(self, input_ids), borders[:, :1], seen, borders[:, 1:]], dim=1)
        always = torch.ones_like(there[:, :1])
        # The picture stands after the last word and before the end token.
        last, length = (mask.sum(1, keepdim=True) - 1, there.sum(1, keepdim=True) + 2)
        place = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
        of_words = place + torch.where(place == last, length, 0)
        of_cells = last + 1 + torch.arange(there.shape[1], device=there.device)[None]
        places = torch.cat([of_words, last, of_cells, last + length - 1], dim=1)
        return _pooled(self, embeds, torch.cat([mask, always, there, always], dim=1), places)

    def image(self: Any, pixel_values: torch.Tensor) -> torch.Tensor:
        ids = torch.tensor([list(empty)], device=pixel_values.device)
        ids = ids.expand(pixel_values.shape[0], -1)
        return fused(self, pixel_values, ids, torch.ones_like(ids))

    forwards: dict[Modality, Callable[..., torch.Tensor]] = {
        "text": text,
        "fused": fused,
        "image": image,
    }
    return forwards[modality]


def _words(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """Return the embeddings of tokens; what stands for a picture or a sound is padding here."""
    config = model.config
    for other in (config.image_token_id, config.video_token_id, config.audio_token_id):
        ids = torch.where(ids == other, config.text_config.pad_token_id, ids)
    embedded: torch.Tensor = model.language_model.embed_tokens(ids)
    return embedded


def _seen(model: Any, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the tokens of pictures, ``(n, cells, hidden)``, and which of them they have."""
    tower = model.vision_tower
    kernel, size = tower.config.pooling_kernel_size, tower.config.patch_size
    cells, rows, cols = unpacked(pixel_values, kernel * size)
    count = cells.shape[1]
    patches = cells.reshape(-1, count, kernel, size, kernel, size, 3).transpose(3, 4)
    patches = patches.reshape(-1, count * kernel**2, size * size * 3)
    place = torch.arange(count, device=rows.device)[None]
    there = place < (rows * cols)[:, None]
    across, down = place % cols[:, None], torch.div(place, cols[:, None], rounding_mode="floor")
    inside = torch.arange(kernel**2, device=rows.device)
    positions = torch.stack(
        [
            across[:, :, None] * kernel + inside % kernel,
            down[:, :, None] * kernel + torch.div(inside, kernel, rounding_mode="floor"),
        ],
        dim=-1,
    ).flatten(1, 2)
    absent = ~there.repeat_interleave(kernel**2, dim=1)
    positions = positions.masked_fill(absent[:, :, None], -1)
    hidden = tower.patch_embedder(patches, positions, absent)
    hidden = tower.encoder(
        inputs_embeds=hidden,
        attention_mask=_added(~absent[:, None, None], hidden.dtype),
        pixel_position_ids=positions,
    ).last_hidden_state
    pooled = hidden.unflatten(1, (count, kernel**2)).float().mean(2).to(hidden.dtype)
    pooled = pooled.float() * tower.pooler.root_hidden_size
    if tower.config.standardize:
        pooled = (pooled - tower.std_bias.float()) * tower.std_scale.float()
    return model.embed_vision(inputs_embeds=pooled.to(hidden.dtype)), there


def _pooled(
    model: Any, embeds: torch.Tensor, there: torch.Tensor, places: torch.Tensor
) -> torch.Tensor:
    """Run the language model, and average the tokens that are there."""
    language = model.language_model
    near = (places[:, :, None] - places[:, None]).abs() <= language.config.sliding_window
    masks = {
        "full_attention": _added(there[:, None, None], embeds.dtype),
        "sliding_attention": _added((near & there[:, None])[:, None], embeds.dtype),
    }
    hidden = language(
        inputs_embeds=embeds, attention_mask=masks, position_ids=places
    ).last_hidden_state.float()
    weights = there[:, :, None].float()
    averaged: torch.Tensor = (hidden * weights).sum(1) / weights.sum(1)
    return averaged


def _added(allowed: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return what is added to attention: nothing where it is allowed."""
    return torch.zeros_like(allowed, dtype=dtype).masked_fill(~allowed, torch.finfo(dtype).min)
