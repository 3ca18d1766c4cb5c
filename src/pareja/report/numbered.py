"""Tables and figures that are counted as a report comes to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pareja.report.document import FigureBlock, Table, plain
from pareja.words.spans import Inline
from pareja.words.wording import Wording


class Numbered:
    """What puts a report together; it has its words, and two counters that begin at 1."""

    words: Wording
    _tables: Iterator[int]
    _figures: Iterator[int]

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[tuple[Inline, ...]],
        caption: Inline,
        *,
        align: str | None = None,
    ) -> Table:
        """Return a numbered table whose head is named by keys of ``column``."""
        return Table(
            head=tuple(plain(self.words.text(f"column.{column}")) for column in columns),
            rows=tuple(rows),
            align=align or "l" + "r" * (len(columns) - 1),
            label=self.words.text("document.table", n=next(self._tables)),
            caption=caption,
        )

    def figure(self, name: str, caption: Inline, alt: str) -> FigureBlock:
        """Return a numbered figure."""
        label = self.words.text("document.figure", n=next(self._figures))
        return FigureBlock(name, label, caption, alt)
