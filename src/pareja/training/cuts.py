"""Where training begins in a network: what lies below never changes, so it is computed once.

A transformer's blocks below the first that is trained give the same hidden states at every epoch.
`Cut` computes them once for each picture or text, and then runs only the blocks from there on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

Inputs = Mapping[str, torch.Tensor]


class _ReachedError(Exception):
    """Carries the hidden states out of a forward pass that need not go on."""

    def __init__(self, hidden: torch.Tensor) -> None:
        super().__init__()
        self.hidden = hidden


class _Given(torch.nn.Module):
    """Stands for the blocks below the cut: hands on hidden states that are known already."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: torch.Tensor | None = None

    def forward(self, _: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        assert self.hidden is not None  # noqa: S101  (set by Cut.above, the only caller)
        return self.hidden


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
    """

    def __init__(self, module: torch.nn.Module, below: int) -> None:
        self.module = module
        self.below = below
        self._given = _Given()
        if below:
            self._name, self._blocks = blocks_of(module)

    @torch.no_grad()
    def hidden(self, inputs: Inputs) -> torch.Tensor:
        """Return the hidden states at the cut, ``(n, tokens, width)``."""

        def stop(_: torch.nn.Module, args: tuple[Any, ...]) -> None:
            raise _ReachedError(args[0])

        hook = self._blocks[self.below].register_forward_pre_hook(stop)
        try:
            self.module(**inputs)
        except _ReachedError as reached:
            return reached.hidden
        finally:
            hook.remove()
        raise LookupError("the network does not run its blocks")

    def above(self, inputs: Inputs, hidden: torch.Tensor | None) -> torch.Tensor:
        """Run the network from the cut on, ``(n, dim)``; all of it where nothing is cut.

        What comes before the first block is run as well: it is cheap, and some networks need
        their inputs again (a text's end token) at the end.
        """
        if hidden is None:
            result: torch.Tensor = self.module(**inputs)
            return result
        self._given.hidden = hidden
        parent, _, attribute = self._name.rpartition(".")
        owner = self.module.get_submodule(parent)
        shortened = torch.nn.ModuleList([self._given, *self._blocks[self.below :]])
        setattr(owner, attribute, shortened)
        try:
            result = self.module(**inputs)
        finally:
            setattr(owner, attribute, self._blocks)
            self._given.hidden = None
        return result
