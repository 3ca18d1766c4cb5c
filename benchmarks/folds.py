"""Measure which pictures a search folds into one: copies that were planted, and no others.

Each of the 220 pictures of commons200 is planted once more, in one of nine versions by turns:
several versions of one would lead to each other. The folder is indexed, and all of it is searched
with `fold=True`. Run from the repository:

    python benchmarks/folds.py
"""

from __future__ import annotations

import tempfile
from itertools import combinations
from pathlib import Path

from near_duplicates import COPIES
from scipy.stats import binomtest

import pareja
from pareja.datasets.formats import load_dataset
from pareja.datasets.images import decode_image

PLANTED = {name: copy for name, copy in COPIES.items() if name != "mirrored"}
LONGEST = 640
TWICE = {"colosseum_2": "colosseum", "great_pyramid": "great_pyramid_of_giza"}
"""Photographs that commons200 has twice, under two labels."""


def plant(folder: Path) -> tuple[dict[str, str], dict[str, list[tuple[str, str]]]]:
    """Write the pictures.

    Returns
    -------
    what
        The photograph that each file is a version of, by the file's name.
    planted
        Pairs of files, an original and a version of it, by the kind of the version.
    """
    what: dict[str, str] = {}
    planted: dict[str, list[tuple[str, str]]] = {}
    for number, record in enumerate(load_dataset("data/commons200")):
        image = decode_image(record.source)
        image.thumbnail((LONGEST, LONGEST))
        photograph = TWICE.get(Path(record.file_name).stem, Path(record.file_name).stem)
        original, version = f"{number:03}.jpg", f"{number:03} version.jpg"
        kind = list(PLANTED)[number % len(PLANTED)]
        image.save(folder / original, quality=92)
        PLANTED[kind](image).save(folder / version, quality=85)
        planted.setdefault(kind, []).append((original, version))
        what |= dict.fromkeys((original, version), photograph)
    return what, planted


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        folder.mkdir()
        what, planted = plant(folder)
        with pareja.open(Path(place) / "index", create=True) as shelf:
            shelf.index(folder, "starter", cache=False)
            folds = [
                {
                    file.path.name
                    for hit in (card, *card.near_duplicates)
                    for file in shelf.files(hit.picture.id)
                }
                for card in shelf.search("a picture", k=len(what), fold=True)
            ]
    if sorted(name for fold in folds for name in fold) != sorted(what):
        raise SystemExit("a picture is in no fold, or in two")
    pairs = list(combinations(sorted(what), 2))
    card_of = {name: number for number, fold in enumerate(folds) for name in fold}
    same = {pair for pair in pairs if what[pair[0]] == what[pair[1]]}
    together = {pair for pair in pairs if card_of[pair[0]] == card_of[pair[1]]}
    right = len(same & together)
    print(f"{len(what)} files of {len(set(what.values()))} photographs; {len(folds)} cards")
    print(f"precision {right} of {len(together)} pairs: {right / len(together):.3f}")
    print(f"recall    {right} of {len(same)} pairs: {right / len(same):.3f}")
    print(f"{'version':18} in one fold with its original")
    for kind, versions in planted.items():
        found, count = len(together.intersection(map(_sorted, versions))), len(versions)
        low, high = binomtest(found, count).proportion_ci(method="wilson")
        print(f"{kind:18} {found} of {count}: {found / count:.2f} [{low:.2f}, {high:.2f}]")


def _sorted(pair: tuple[str, str]) -> tuple[str, str]:
    return min(pair), max(pair)


if __name__ == "__main__":
    main()
