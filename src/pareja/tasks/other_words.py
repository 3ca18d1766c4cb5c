"""Labels in other words than those of the truth: synonyms, or another language."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from pareja.errors import LabelError, some_of


def in_other_words(
    labels: Sequence[str], answers: Sequence[str | None]
) -> tuple[tuple[str, ...], list[str | None], bool]:
    """Return the labels, and the truth in their words.

    Parameters
    ----------
    labels
        Each as it is shown to the model, or ``label=name`` where the truth calls it otherwise.
    answers
        What each picture shows, None where that is not said.

    Returns
    -------
    tuple of str
        The labels alone.
    list
        The truth, a label in place of each name that one stands for.
    bool
        Whether any label stands for a name.

    Raises
    ------
    LabelError
        If a label stands for a name that the truth has not, or two for the same.

    Examples
    --------
    >>> in_other_words(["pájaro=birds", "cats"], ["birds", "cats", None])
    (('pájaro', 'cats'), ['pájaro', 'cats', None], True)
    """
    known = {name.casefold(): name for name in answers if name}
    plain: list[str] = []
    words: dict[str, str] = {}
    for label in labels:
        said, sign, meant = (part.strip() for part in label.partition("="))
        if not sign or label.casefold() in known:
            plain.append(label)
            continue
        name = meant.casefold()
        if name not in known or not said:
            near = get_close_matches(name, known, n=1)
            hint = f" Did you mean {known[near[0]]!r}?" if near else ""
            raise LabelError(
                f"label {label!r}: the truth has no name {meant!r}.{hint} Its names are "
                f"{some_of(dict.fromkeys(known.values()), most=20)}."
            )
        if name in words:
            raise LabelError(
                f"labels {words[name]!r} and {said!r} both stand for {known[name]!r}. Give each "
                "name one."
            )
        words[name] = said
        plain.append(said)
    told = [name and words.get(name.casefold(), name) for name in answers]
    return tuple(plain), told, bool(words)
