"""Results that can be written down: what writes them lies above, and is named at the front door."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

_Lang = Literal["en", "es"]
Langs = _Lang | Sequence[_Lang]
"""One language or several."""

_writers: list[Callable[..., Path]] = []


def written_by(writer: Callable[..., Path]) -> None:
    """Name what writes results: it gets the result, the path and the options of ``save``."""
    _writers[:] = [writer]


def write(result: object, path: Path | str, **options: Any) -> Path:
    """Write a result, and return where it is; `InputError` if nobody speaks its language."""
    from pareja.inputs import one_of

    for name in ("lang", "langs"):
        given = options.get(name, ())
        for lang in [given] if isinstance(given, str) else given:
            one_of(name, lang, get_args(_Lang))
    return _writers[0](result, Path(path), **options)


class FolderResult:
    """A result that is written as a folder: reports in several languages, figures, numbers."""

    def save(
        self,
        path: Path | str,
        *,
        langs: Langs = ("en",),
        force: bool = False,
    ) -> Path:
        """Write the reports, figures and numbers to one folder.

        Parameters
        ----------
        path
            The folder, which is made.
        langs
            The languages of the reports, one report each.
        force
            Replace what an earlier run wrote there.

        Returns
        -------
        Path
            Absolute path of the folder.

        Raises
        ------
        OutputError
            If it exists and `force` is off, holds something of yours, or cannot be written.
        """
        return write(self, path, langs=[langs] if isinstance(langs, str) else langs, force=force)
