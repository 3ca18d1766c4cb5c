"""Vectors cut to their first numbers, of models that were trained for it (Matryoshka).

Such a model is one of its own, with a fingerprint of its own, under the name of the whole one with
a length after it: ``embeddinggemma-2:256``. (Kusupati et al. 2022, "Matryoshka Representation
Learning".)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar, cast

from pareja.arrays import unit
from pareja.encoders.protocols import AnyEncoder, Embeddings
from pareja.errors import EncoderError, some_of

if TYPE_CHECKING:
    from pareja.encoders.towers import NetworkImageEncoder, NetworkTextEncoder

    E = TypeVar("E", bound=NetworkImageEncoder | NetworkTextEncoder)


def cut(rows: Embeddings, dim: int | None) -> Embeddings:
    """Return the first `dim` numbers of vectors ``(..., dim)``, of length 1 again; None for all."""
    return unit(rows[..., :dim])


def dims_of(encoder: object) -> tuple[int, ...]:
    """Return the shorter lengths that an encoder's vectors may be cut to, the longest first."""
    return cast(tuple[int, ...], getattr(encoder, "dims", ()))


def in_dim(encoder: AnyEncoder, dim: int) -> AnyEncoder:
    """Return an encoder whose vectors are cut to a length, as the ending of its name asks for.

    Parameters
    ----------
    encoder
        What is loaded without the ending.
    dim
        The length; that of the encoder itself returns it as it is.

    Raises
    ------
    EncoderError
        If it was not trained for that length.
    """
    whole = getattr(encoder, "image_dim", None) or getattr(encoder, "text_dim", None)
    if dim == whole:
        return encoder
    allowed = dims_of(encoder)
    if dim in allowed:
        # Only encoders made of networks have lengths.
        return truncated(cast("NetworkImageEncoder | NetworkTextEncoder", encoder), dim)
    if allowed:
        raise EncoderError(
            f"the vectors of {encoder.name!r} have {whole} numbers and can be cut to "
            f"{some_of(map(str, allowed))}, not to {dim}: it was trained for these lengths alone."
        )
    raise EncoderError(
        f"the vectors of {encoder.name!r} cannot be cut to {dim} numbers: it was not trained for "
        "it, so that the first numbers matter no more than the others. Use it whole, or a model "
        "that was, as 'embeddinggemma-2'."
    )


def truncated(encoder: E, dim: int, *, named: bool = True) -> E:
    """Return an encoder whose vectors are the first `dim` numbers of another's, of length 1 again.

    Both share their networks.

    Parameters
    ----------
    encoder
        Any that is made of networks.
    dim
        How many numbers are kept.
    named
        Whether its name says so; not where its own files ask for it.
    """
    space = replace(encoder.fingerprint, pooling=f"{encoder.fingerprint.pooling} first {dim}")
    short = replace(
        encoder,
        name=f"{encoder.name}:{dim}" if named else encoder.name,
        fingerprint=space,
        dim=dim,
        dims=tuple(length for length in encoder.dims if length < dim),
    )
    short._towers = encoder._towers
    return short
