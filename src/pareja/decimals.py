"""How a number is written for people, the same in tables, reports and pages."""

from __future__ import annotations


def decimals(value: float, digits: int = 2) -> str:
    """Return a number with a fixed count of decimals, halves away from zero, and no ``-0``.

    Examples
    --------
    >>> decimals(0.865), decimals(-0.015), decimals(-0.001)
    ('0.87', '-0.02', '0.00')
    """
    # A share that should be 0.125 may lie on either side of it: both are to print as 0.13.
    text = f"{value * (1 + 1e-12):.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun, in English.

    Parameters
    ----------
    n
        How many there are.
    noun
        In the singular; words after it that change with the number go along, as in
        ``"vector is"``.
    plural
        By default the noun with an s.

    Examples
    --------
    >>> counted(1, "picture"), counted(0, "picture"), counted(2, "query", "queries")
    ('1 picture', '0 pictures', '2 queries')
    """
    return f"{n} {noun if n == 1 else plural or f'{noun}s'}"


def p_decimals(value: float) -> str:
    """Return a p-value with three decimals; below the last of them only that it is.

    Examples
    --------
    >>> p_decimals(0.0386), p_decimals(0.0002)
    ('0.039', '< 0.001')
    """
    return "< 0.001" if value < 0.001 else decimals(value, 3)
