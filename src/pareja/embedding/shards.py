"""Shards of embeddings: one Parquet file for each partition of the pictures, written whole."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pareja.datasets.formats.parquet import open_parquet
from pareja.embedding.export import KEY, ROW_GROUP, require_pyarrow, space_from_json, space_to_json
from pareja.embedding.partitions import Item, Partition, Plan
from pareja.encoders.protocols import Embeddings, Fingerprint
from pareja.errors import DatasetError, FingerprintMismatchError, OutputError
from pareja.files import local_path, staged_file

# Another layout of the columns gets another number, and so other names of files.
_LAYOUT = 1
_SHARD = "pareja.shard"
_NAME = re.compile(r"part-(?P<number>\d{5,})-of-(?P<of>\d{5,})-(?P<key>[0-9a-f]{12})\.parquet")
_TEXTS = ("category", "label", "caption_es", "author", "license", "source_url")


@dataclass(frozen=True)
class Shard:
    """What a shard says about itself.

    Parameters
    ----------
    number, of
        Which partition it holds, from 1, and how many there are.
    plan
        The digest of the plan.
    sources
        The places, as they were given to the run that wrote it.
    model
        The name of the encoder.
    space
        Where its embeddings lie.
    captions
        Whether each is of a picture together with its captions.
    """

    number: int
    of: int
    plan: str
    sources: tuple[str, ...]
    model: str
    space: Fingerprint
    captions: bool = False

    @classmethod
    def of_partition(
        cls,
        partition: Partition,
        plan: Plan,
        model: str,
        space: Fingerprint,
        *,
        captions: bool = False,
    ) -> Shard:
        """Return the shard that a partition of a plan is embedded into."""
        return cls(
            number=partition.number,
            of=len(plan.partitions),
            plan=plan.digest,
            sources=plan.sources,
            model=model,
            space=space,
            captions=captions,
        )

    @cached_property
    def key(self) -> str:
        """Twelve hexadecimal digits that stand for the pictures, their partitions and the space.

        And for captions, where embeddings are of those too.
        """
        text = f"{_LAYOUT}\n{self.plan}\n{self.of}\n{space_to_json(self.space)}"
        text += "\ncaptions" if self.captions else ""
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def file_name(self) -> str:
        """The name of its file."""
        return f"part-{self.number:05}-of-{self.of:05}-{self.key}.parquet"


@dataclass(frozen=True)
class ShardRows:
    """What a shard holds: a row for each picture of its partition, in order.

    Parameters
    ----------
    items
        The pictures.
    digests
        SHA-256 of their bytes, hexadecimal; None where a picture failed.
    embeddings
        ``(n, dim)``; those of pictures that failed are not written.
    errors
        Why a picture failed, as one clause; None where it did not.
    """

    items: Sequence[Item]
    digests: Sequence[str | None]
    embeddings: Embeddings
    errors: Sequence[str | None]


class ShardFolder:
    """A folder that shards are written to and read from.

    Parameters
    ----------
    location
        The folder; it is made when the first shard is written.

    Raises
    ------
    OutputError
        If it is on other storage.
    MissingDependencyError
        If ``pyarrow`` is not installed.
    """

    def __init__(self, location: Path | str) -> None:
        require_pyarrow("to write and read shards of embeddings")
        self.location = local_path(location).expanduser()

    def __str__(self) -> str:
        return str(self.location)

    def make(self) -> None:
        """Make the folder, if it is not there.

        Raises
        ------
        OutputError
            If it cannot be made.
        """
        try:
            self.location.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{self} cannot be made: {error.strerror or error}. Choose a place that you may "
                "write to."
            ) from error

    def names(self) -> list[str]:
        """Return the names of the shards that are there, sorted.

        Raises
        ------
        OutputError
            If it is no folder, or cannot be listed.
        """
        try:
            return sorted(
                path.name for path in self.location.iterdir() if _NAME.fullmatch(path.name)
            )
        except FileNotFoundError:
            return []
        except OSError as error:
            raise OutputError(
                f"{self} cannot be listed: {error.strerror or error}. Name a folder for shards."
            ) from error

    def missing(self, count: int) -> tuple[int, ...]:
        """Return the numbers of the partitions, of `count`, that have no shard."""
        found = (_NAME.fullmatch(name) for name in self.names())
        there = {int(match["number"]) for match in found if match}
        return tuple(number for number in range(1, count + 1) if number not in there)

    def shard(self, name: str) -> Shard:
        """Return what a shard says about itself.

        Raises
        ------
        DatasetError
            If it cannot be read, or is no shard.
        """
        path = self.location / name
        with open_parquet(path) as table:
            metadata = table.schema_arrow.metadata or {}
        try:
            written = json.loads(metadata[_SHARD.encode()])
            space = space_from_json(metadata[KEY.encode()])
            return Shard(**{**written, "sources": tuple(written["sources"])}, space=space)
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(
                f"{path} is no shard as 'pareja embed' writes it. Move it away."
            ) from error

    def refuse_others(self, expected: Shard) -> None:
        """Refuse a folder with shards of other pictures, other partitions or another space.

        And one of pictures with their captions beside those of pictures alone.

        Parameters
        ----------
        expected
            Any shard of this run.

        Raises
        ------
        FingerprintMismatchError
            If there is one of another space.
        OutputError
            If there is one of other pictures or partitions, or the captions count in one only.
        """
        for name in self.names():
            if name.endswith(f"-{expected.key}.parquet"):
                continue
            other = self.shard(name)
            if other.space != expected.space:
                raise FingerprintMismatchError(
                    f"{self.location / name} is of {other.space}, and this run embeds with "
                    f"{expected.space}. Choose another folder, or the same model."
                )
            if other.captions != expected.captions:
                has, wants = ("with", "without") if other.captions else ("without", "with")
                raise OutputError(
                    f"{self.location / name} is of pictures {has} their captions, and this run "
                    f"embeds them {wants}. Choose another folder."
                )
            raise OutputError(
                f"{self.location / name} is of other pictures: {other.of} partitions of "
                f"{', '.join(other.sources)}. This run has {expected.of} of "
                f"{', '.join(expected.sources)}, with other names or cut in another way. Choose "
                "another folder, or the same pictures, `split` and `partition_size`."
            )

    def write(self, shard: Shard, rows: ShardRows) -> Path:
        """Write a shard, whole or not at all; return its path.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        import pyarrow.parquet

        table = _table(shard, rows)
        path = self.location / shard.file_name
        # A worker that was given up may have written the same rows meanwhile.
        with (
            staged_file(path, force=True) as stream,
            pyarrow.parquet.ParquetWriter(
                stream,
                table.schema,
                compression="none",
                use_dictionary=False,
                write_page_checksum=True,
            ) as writer,
        ):
            writer.write_table(table, row_group_size=ROW_GROUP)
        return path

    def columns(self, name: str, columns: Sequence[str]) -> dict[str, list[Any]]:
        """Return columns of a shard, by name, without embeddings.

        Raises
        ------
        DatasetError
            If it cannot be read, or is damaged.
        """
        with open_parquet(self.location / name, verify=True) as table:
            read: dict[str, list[Any]] = table.read(columns=list(columns)).to_pydict()
        return read

    def vectors(self, name: str, group: int) -> NDArray[np.float32]:
        """Return the embeddings of one group of `ROW_GROUP` rows, ``(n, dim)``; NaN where failed.

        Raises
        ------
        DatasetError
            If it cannot be read, or is damaged.
        """
        with open_parquet(self.location / name, verify=True) as table:
            column = table.read_row_group(group, columns=["embedding"]).column("embedding")
        rows = column.combine_chunks()
        values: NDArray[np.float32] = rows.values.to_numpy(zero_copy_only=False)
        return values.reshape(len(rows), -1)


def _table(shard: Shard, rows: ShardRows) -> Any:
    import pyarrow as pa

    records = [item.record for item in rows.items]
    failed = [error is not None for error in rows.errors]
    dim = rows.embeddings.shape[1]
    text = pa.string()
    columns = {
        "file_name": pa.array([record.file_name for record in records], text),
        "place": pa.array([item.place for item in rows.items], text),
        "sha256": pa.array(rows.digests, text),
        "embedding": pa.FixedSizeListArray.from_arrays(
            pa.array(rows.embeddings.ravel(), pa.float32()), dim, mask=pa.array(failed, pa.bool_())
        ),
        "error": pa.array(rows.errors, text),
        "captions": pa.array([list(record.captions) for record in records], pa.list_(text)),
        **{name: pa.array([getattr(record, name) for record in records], text) for name in _TEXTS},
        "extra": pa.array([list(record.extra.items()) for record in records], pa.map_(text, text)),
    }
    about = {
        "number": shard.number,
        "of": shard.of,
        "plan": shard.plan,
        "sources": shard.sources,
        "model": shard.model,
        "captions": shard.captions,
    }
    written = {KEY: space_to_json(shard.space), _SHARD: json.dumps(about, ensure_ascii=False)}
    return pa.table(columns).replace_schema_metadata(written)
