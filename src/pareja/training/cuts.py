"""Where training begins in a network: what lies below never changes, so it is computed once.

A transformer's blocks below the first that is trained give the same hidden states at every epoch.
`Cut` computes them once for each picture or text, and then runs only the blocks from there on. Of
the last block it runs only what the embedding depends on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch.utils.checkpoint import checkpoint

Inputs = Mapping[str, torch.Tensor]

# What the two-layer network of a block is called in transformers' CLIP, SigLIP, MetaCLIP 2 and in
# AIMv2. It sees each token alone, and the block adds its output to what went in.
_MLPS = ("mlp", "ffn")


class _ReachedError(Exception):
    """Carries the hidden states out of a forward pass that need not go on."""

    def __init__(self, hidden: torch.Tensor) -> None:
        super().__init__()
        self.hidden = hidden


class _Stead(torch.nn.Module):
    """Runs in the place of a block, and has the block's attributes: some networks read them."""

    def __init__(self, block: torch.nn.Module) -> None:
        super().__init__()
        self.block = block

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("block"), name)


class _Given(_Stead):
    """A block whose output is known already, and is handed on."""

    def __init__(self, block: torch.nn.Module, hidden: torch.Tensor, *, in_tuple: bool) -> None:
        super().__init__(block)
        self.output = (hidden,) if in_tuple else hidden

    def forward(self, _: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return self.output


class _LastBlock(_Stead):
    """The last block where one token of each row is pooled: its two-layer network sees only that.

    What comes out is right for that token alone.
    """

    def __init__(self, block: torch.nn.Module, mlp: torch.nn.Module, pooled: torch.Tensor) -> None:
        super().__init__(block)
        self.mlp, self.pooled = mlp, pooled

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        rows = torch.arange(len(self.pooled), device=self.pooled.device)
        hook = self.mlp.register_forward_pre_hook(
            lambda _, inputs: (inputs[0][rows, self.pooled].unsqueeze(1),)
        )
        try:
            return cast(torch.Tensor, self.block(*args, **kwargs))
        finally:
            hook.remove()


class _Recomputed(_Stead):
    """A block that keeps only its input, and runs again for its gradients (Chen et al. 2016)."""

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return cast(torch.Tensor, checkpoint(self.block, *args, use_reentrant=False, **kwargs))


def blocks_of(module: torch.nn.Module) -> tuple[str, torch.nn.ModuleList]:
    """Return the name and the list of a transformer's blocks: its longest list of modules.

    Raises
    ------
    LookupError
        If it has none, as a convolutional network.
    """
    lists = [
        (name, part)
        for name, part in module.named_modules()
        if isinstance(part, torch.nn.ModuleList) and len(part)
    ]
    if not lists:
        raise LookupError("no list of blocks")
    return max(lists, key=lambda found: len(found[1]))


class Cut:
    """A network in two parts: below the cut nothing is trained.

    Parameters
    ----------
    module
        Takes named tensors and returns ``(n, dim)``.
    below
        How many of its blocks are left as they are; 0 cuts nothing.
    recompute
        Whether blocks run a second time for their gradients, which takes less memory.
    """

    def __init__(self, module: torch.nn.Module, below: int, *, recompute: bool = False) -> None:
        self.module = module
        self.below = below
        self._recompute = recompute
        self._in_tuple = False
        try:
            self._name, self._blocks = blocks_of(module)
        except LookupError:
            if below:
                raise
            self._name, self._blocks = "", torch.nn.ModuleList()

    @torch.no_grad()
    def hidden(self, inputs: Inputs) -> torch.Tensor:
        """Return the hidden states at the cut, ``(n, tokens, width)``."""

        def stop(_: torch.nn.Module, args: tuple[Any, ...]) -> None:
            raise _ReachedError(args[0])

        def look(_: torch.nn.Module, args: Any, output: Any) -> None:
            self._in_tuple = isinstance(output, tuple)

        hook = self._blocks[self.below].register_forward_pre_hook(stop)
        looking = self._blocks[self.below - 1].register_forward_hook(look)
        try:
            self.module(**inputs)
        except _ReachedError as reached:
            return reached.hidden
        finally:
            hook.remove()
            looking.remove()
        raise LookupError("the network does not run its blocks")

    def pooled(self, inputs: Inputs, hidden: torch.Tensor) -> torch.Tensor | None:
        """Return which token each embedding is made of, ``(n,)``; None if it is made of several.

        The network itself is asked: without its blocks, an embedding has gradients for those
        tokens alone that are pooled.

        Parameters
        ----------
        inputs
            Of the network.
        hidden
            Any hidden states of these inputs, ``(n, tokens, width)``.
        """
        if self._mlp() is None:
            return None
        tokens = hidden.detach().float().requires_grad_()
        with torch.enable_grad():
            made = self._run(inputs, self._given(tokens, len(self._blocks)))
            # Not the plain sum: a normalisation at the end would make its gradients zero.
            ramp = torch.linspace(-1, 1, made.shape[-1], device=made.device, dtype=made.dtype)
            (gradient,) = torch.autograd.grad(made, tokens, ramp.expand_as(made))
        read = gradient.abs().amax(dim=-1) > 0
        return read.int().argmax(dim=1) if bool((read.sum(dim=1) == 1).all()) else None

    def above(
        self,
        inputs: Inputs,
        hidden: torch.Tensor | None = None,
        pooled: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Run the network from the cut on, ``(n, dim)``.

        Parameters
        ----------
        inputs
            Of the network. What comes before the first block is run as well, since some networks
            need their inputs again (a text's end token) at the end.
        hidden
            The hidden states at the cut; all blocks run where they are not given.
        pooled
            Which token each embedding is made of, where it is known.
        """
        blocks: list[torch.nn.Module] = list(
            self._blocks if hidden is None else self._blocks[self.below :]
        )
        mlp = self._mlp()
        if pooled is not None and mlp is not None:
            blocks[-1] = _LastBlock(blocks[-1], mlp, pooled)
        if self._recompute:
            blocks = [_Recomputed(block) for block in blocks]
        if hidden is not None:
            blocks[:0] = self._given(hidden, self.below)
        return self._run(inputs, blocks)

    def _given(self, hidden: torch.Tensor, count: int) -> list[_Given]:
        """Return stand-ins for the first blocks: as many, since networks count their blocks."""
        return [_Given(each, hidden, in_tuple=self._in_tuple) for each in self._blocks[:count]]

    def _mlp(self) -> torch.nn.Module | None:
        """Return the two-layer network of the last block."""
        parts = dict(self._blocks[-1].named_children()) if len(self._blocks) else {}
        return next((parts[name] for name in _MLPS if name in parts), None)

    def _run(self, inputs: Inputs, blocks: Sequence[torch.nn.Module]) -> torch.Tensor:
        """Run the network with other blocks in the place of its own."""
        if not blocks:
            return cast(torch.Tensor, self.module(**inputs))
        parent, _, attribute = self._name.rpartition(".")
        owner = self.module.get_submodule(parent)
        setattr(owner, attribute, torch.nn.ModuleList(blocks))
        try:
            return cast(torch.Tensor, self.module(**inputs))
        finally:
            setattr(owner, attribute, self._blocks)
