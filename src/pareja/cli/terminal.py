"""The console: what others wrote appears there, and commands nothing."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from pareja.names import harmless


class PlainConsole(Console):
    """A console that prints names and captions as they are, control characters as text.

    Parameters
    ----------
    stderr
        Whether it is that of messages, and not of results.
    """

    def __init__(self, *, stderr: bool) -> None:
        # A file may be called 'cat [red].jpg' or 'a:dog:.jpg'.
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the pieces of what is printed."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else self._encodable(harmless(text)), style, control)

    def _encodable(self, text: str) -> str:
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)
