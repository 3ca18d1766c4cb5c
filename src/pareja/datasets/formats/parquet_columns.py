"""Which column of a Parquet file holds the pictures, and which belong to them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pareja.datasets.formats.reading import Reading
from pareja.datasets.signatures import HEAD_BYTES, picture_format

_PICTURE_NAME = re.compile(
    r"(?:.*_)?(?:image|img|picture|photo|jpg|jpeg|png|webp|pixels?)s?(?:[_ ]?(?:bytes|data|\d+))?",
    re.IGNORECASE,
)
_SAMPLE = 16


def picture_column(path: Path, table: Any, reading: Reading) -> str | None:
    """Return the column that holds the pictures: by content, then by type and name."""
    schema = table.schema_arrow
    features = features_of(schema)
    ranked: list[tuple[bool, bool, str]] = []
    for field in schema:
        if not _may_hold_picture(field.type):
            continue
        is_image = _feature_type(features.get(field.name)) == "Image"
        content = _has_pictures(table, field.name)
        if content or is_image or _is_struct(field.type) or _PICTURE_NAME.fullmatch(field.name):
            ranked.append((not (content or is_image), not _is_struct(field.type), field.name))
    if not ranked:
        return None
    chosen = min(ranked, key=lambda item: item[:2])[2]
    number = re.search(r"\d+$", chosen)
    for unsure, _, other in ranked:
        if other != chosen and not unsure:
            reading.note(
                "column_not_read",
                path.name,
                f"The column {other!r} holds pictures too, and is not read; {chosen!r} is. A "
                "dataset has one picture in each row."
                + (" Captions with the other's number are not read either." if number else ""),
            )
    return chosen


def _may_hold_picture(kind: Any) -> bool:
    """Return whether a type is bytes, ``{bytes, path}``, or a list of one of these."""
    from pyarrow import types

    if is_list_type(kind):
        kind = kind.value_type
    if types.is_struct(kind):
        if kind.get_field_index("bytes") < 0:
            return False
        # without one picture's bytes, a writer may not know the type
        return _is_bytes(kind.field("bytes").type) or bool(types.is_null(kind.field("bytes").type))
    return _is_bytes(kind)


def holds_bytes(kind: Any) -> bool:
    """Return whether there are bytes anywhere in a type, which are no text."""
    from pyarrow import types

    if is_list_type(kind):
        return holds_bytes(kind.value_type)
    if types.is_struct(kind):
        return _may_hold_picture(kind) or any(
            holds_bytes(kind.field(i).type) for i in range(kind.num_fields)
        )
    return _is_bytes(kind)


def _is_bytes(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def is_list_type(kind: Any) -> bool:
    """Return whether a type is that of lists, of whichever kind pyarrow has."""
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _is_struct(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_struct(kind.value_type if is_list_type(kind) else kind))


def _has_pictures(table: Any, column: str) -> bool:
    """Return whether one of a column's first cells begins like a picture."""
    for batch in table.iter_batches(batch_size=_SAMPLE, columns=[column]):
        for cell in batch.column(0).to_pylist():
            for item in cell if isinstance(cell, list) else [cell]:
                content = item.get("bytes") if isinstance(item, Mapping) else item
                if isinstance(content, bytes) and picture_format(content[:HEAD_BYTES]):
                    return True
        return False
    return False


def path_columns(schema: Any, column: str | None) -> list[str]:
    """Return what to read of the picture column for its path and number, without the bytes."""
    if column is None:
        return []
    kind = schema.field(column).type
    if is_list_type(kind):
        # its parts cannot be named in one way for every writer of lists
        return [column]
    has_path = _is_struct(kind) and kind.get_field_index("path") >= 0
    return [f"{column}.path"] if has_path else []


def is_of_another(text: str, column: str) -> bool:
    """Return whether a numbered text belongs to a picture of another number, as in Winoground."""
    ours, theirs = re.search(r"\d+$", column), re.search(r"\d+$", text)
    return bool(ours and theirs and ours[0] != theirs[0])


def without_number(text: str, number: str) -> str:
    """Return the name of a column that ends in a picture's number, without that."""
    return re.sub(rf"[_ ]?{number}$", "", text)


def features_of(schema: Any) -> dict[str, Any]:
    """Return what the ``datasets`` library noted in the file about its columns."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _feature_type(feature: Any) -> str | None:
    if isinstance(feature, dict):
        named = feature.get("_type")
        if named in ("Sequence", "List", "LargeList"):
            return _feature_type(feature.get("feature"))
        return str(named) if named else None
    return None
