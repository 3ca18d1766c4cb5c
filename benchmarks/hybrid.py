"""Measure what captions and file names, and folding, change in a search, and what they cost.

    python benchmarks/hybrid.py [--write docs/benchmarks/hybrid.md]

Quality is measured on the 220 pictures of ``commons200`` with ``starter``. Their files are called
``0000.webp`` and so on, since their own names say what the queries ask for. The queries:

- the ten that come along, in English and in Spanish, judged by label and category;
- every label, judged by itself;
- rare words: from each caption the longest word that no other caption and no label has. Only that
  picture is right. Alone, and behind the picture's label, as people ask for a picture they know;
- the names of the files. Only that picture is right.

Each set is searched without and with `hybrid`, and without and with `fold`; differences are paired
over queries. Folded, a near duplicate of a right picture finds no place of its own.

CPU time is measured on 20,000 pictures in folders of 300 called ``trip 17``. Their captions are
made up of 20,000 words, with the frequencies of a language (Zipf), eight words each. The encoder
sees nothing but the mean colour, in 512 numbers.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.conftest import ColourEncoder

import pareja
from pareja.analysis.ranking import RankingScores
from pareja.analysis.significance import Estimate, paired_difference
from pareja.datasets.formats import load_dataset
from pareja.encoders import Embeddings
from pareja.files import atomic_write
from pareja.search import Collection, Picture, bundled_queries

_PICTURES = 20_000
_IN_FOLDER = 300
_VOCABULARY = 20_000
_QUERIES = 200
_DIM = 512
_ONE_RIGHT = {"a rare word", "label and rare word", "a file's name"}


class WideColours(ColourEncoder):
    """Colours in as many numbers as CLIP has."""

    @staticmethod
    def _unit(rgb: NDArray[np.floating]) -> Embeddings:
        wide = ColourEncoder._unit(rgb) @ np.random.default_rng(0).standard_normal((4, _DIM))
        return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True), np.float32)


def describe(folder: Path, rows: Sequence[Mapping[str, str | None]]) -> None:
    """Write the metadata of pictures."""
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")


def renamed(folder: Path) -> Path:
    """Write commons200 with numbers for file names; return the folder."""
    folder.mkdir()
    rows: list[dict[str, str | None]] = []
    for number, record in enumerate(load_dataset("commons200")):
        name = f"{number:04}.webp"
        (folder / name).write_bytes(record.source.read())
        rows.append(
            {
                "file_name": name,
                "caption": record.caption,
                "category": record.category,
                "label": record.label,
            }
        )
    describe(folder, rows)
    return folder


def known_items(pictures: Sequence[Picture]) -> dict[str, dict[str, list[int]]]:
    """Return queries that mean one picture, by the name of their set."""
    words = {
        each.id: dict.fromkeys(re.findall(r"[^\W\d_]{4,}", (each.caption or "").casefold()))
        for each in pictures
    }
    counts = Counter(word for each in words.values() for word in each)
    labels = {word for each in pictures for word in (each.label or "").casefold().split()}
    alone, behind = {}, {}
    for picture in pictures:
        rare = [word for word in words[picture.id] if counts[word] == 1 and word not in labels]
        if rare:
            word = max(rare, key=len)
            alone[word] = behind[f"{picture.label} {word}"] = [picture.id]
    return {
        "a rare word": alone,
        "label and rare word": behind,
        "a file's name": {picture.path.name: [picture.id] for picture in pictures},
    }


def add_query_sets(shelf: Collection) -> tuple[str, ...]:
    """Put the judged queries into a collection; return the names of the sets."""
    for name, language in (("ten queries, English", "en"), ("ten queries, Spanish", "es")):
        shelf.add_bundled_queries(bundled_queries("commons200"), name, language)
    pictures = shelf.pictures()
    labels: dict[str, list[int]] = {}
    for picture in pictures:
        labels.setdefault(picture.label or "", []).append(picture.id)
    sets = {"every label": labels, **known_items(pictures)}
    for name, queries in sets.items():
        shelf.create_query_set(name, list(queries))
        for query, right in queries.items():
            for picture_id in right:
                shelf.judge(query, picture_id, True)
    return ("ten queries, English", "ten queries, Spanish", *sets)


def shown(estimate: Estimate, sign: str = "") -> str:
    return f"{estimate.value:{sign}.2f} [{estimate.low:{sign}.2f}, {estimate.high:{sign}.2f}]"


def quality(place: Path) -> Iterator[str]:
    """Yield a table of what each query set gains or loses."""
    yield "| queries | number | with | measure | without it | with it | difference |"
    yield "| --- | ---: | --- | --- | ---: | ---: | ---: |"
    with pareja.open(place / "quality", create=True) as shelf:
        shelf.index(renamed(place / "photos"), "starter")
        for name in add_query_sets(shelf):
            before = shelf.evaluate(query_set=name).overall
            at = 1 if name in _ONE_RIGHT else 5
            for way, after in (
                ("hybrid", shelf.evaluate(query_set=name, hybrid=True).overall),
                ("fold", shelf.evaluate(query_set=name, fold=True).overall),
            ):
                yield from _compared(f"{name} | {{}} | {way}", before, after, at)


def _compared(
    beginning: str, before: RankingScores, after: RankingScores, at: int
) -> Iterator[str]:
    """Yield two rows: the precision of the first `at`, and nDCG."""
    both = before, after
    for measure, means, (old, new) in (
        (
            f"P@{at}",
            [each.precision[at] for each in both],
            [each.precision_by_query[at] for each in both],
        ),
        ("nDCG@5", [each.ndcg for each in both], [each.ndcg_by_query for each in both]),
    ):
        gain = paired_difference(new - old, np.ones(len(old)), 2_000, 0)
        columns = (*map(shown, means), shown(gain, "+"))
        yield f"| {beginning.format(len(old))} | {measure} | {' | '.join(columns)} |"


def draw(folder: Path) -> list[str]:
    """Write many small pictures with captions; return words that captions have, as queries."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, _VOCABULARY + 1)
    drawn = rng.choice(_VOCABULARY, (_PICTURES, 8), p=share / share.sum())
    rows = []
    for number, colour in enumerate(rng.integers(0, 256, (_PICTURES, 3)).tolist()):
        name = f"trip {number // _IN_FOLDER}/IMG_{number:05}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture = Image.new("RGB", (16, 16), tuple(colour))
        picture.putpixel((number % 16, number // 16 % 16), (0, 0, 0))
        picture.save(folder / name)
        caption = " ".join(f"w{word}" for word in drawn[number])
        rows.append({"file_name": name, "caption": caption})
    describe(folder, rows)
    asked = rng.choice(_PICTURES, _QUERIES, replace=False)
    return [" ".join(f"w{word}" for word in drawn[number, :3]) for number in asked]


def speed(place: Path) -> Iterator[str]:
    """Yield what hybrid searches of many pictures cost."""
    folder, index, encoder = (
        place / "many",
        place / "speed",
        WideColours(text_dim=_DIM, image_dim=_DIM),
    )
    queries = draw(folder)
    with pareja.open(index, create=True) as shelf:
        shelf.index(folder, encoder, cache=False)
    size = _size(index)
    in_memory = _first(index, encoder, queries[0], read_only=True)
    first = _first(index, encoder, queries[0])
    with pareja.open(index) as shelf:
        yield "| search | p50, ms | p95, ms |"
        yield "| --- | ---: | ---: |"
        for name, hybrid in (("vectors", False), ("hybrid", True)):
            took = [_searched(shelf, encoder, query, hybrid=hybrid) for query in queries]
            p50, p95 = np.percentile(took, (50, 95))
            yield f"| {name} | {p50:.1f} | {p95:.1f} |"
    grown = _size(index)
    again = _first(index, encoder, queries[0], read_only=True)
    yield ""
    yield f"- The first hybrid search, which makes the index of words: {first:.0f} ms"
    yield f"- The same where it may not be written, in memory: {in_memory:.0f} ms"
    yield f"- The first one of a later process, which checks the index: {again:.0f} ms"
    yield f"- On the disk: {(grown - size) / 2**20:.1f} MiB, beside {size / 2**20:.1f} MiB"


def _first(index: Path, encoder: ColourEncoder, query: str, *, read_only: bool = False) -> float:
    """Return how long the first hybrid search takes after the first one by vectors, in ms."""
    with pareja.open(index, read_only=read_only) as shelf:
        _searched(shelf, encoder, query, hybrid=False)
        return _searched(shelf, encoder, query, hybrid=True)


def _searched(shelf: Collection, encoder: ColourEncoder, query: str, *, hybrid: bool) -> float:
    """Return the CPU time that a search takes, in milliseconds."""
    start = time.process_time()
    shelf.search(query, encoder, hybrid=hybrid)
    return 1e3 * (time.process_time() - start)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


_HEADER = """# What captions and file names add to a search, and what folding changes

Made by `python benchmarks/hybrid.py`, which says what the queries are and how times are measured.
Intervals are of 95 %, differences paired over queries. Times are those of the CPU, since other
programs were at work.

"""


def main() -> None:
    """Print both tables, and write them down where that was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", type=Path, help="The page to write.")
    given = parser.parse_args()
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        for title, part in (("", quality), ("## CPU time with 20,000 pictures", speed)):
            for line in (*filter(None, (title, title and " ")), *part(Path(place))):
                print(line, flush=True)
                lines.append(line.strip())
            lines.append("")
    if given.write:
        atomic_write(given.write, _HEADER + "\n".join(lines).strip() + "\n", force=True)


if __name__ == "__main__":
    main()
