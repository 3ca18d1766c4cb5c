"""Measure how often "probably nothing relevant" is right, on ``commons200`` with ``starter``.

    python benchmarks/relevance.py

Queries about things that the pictures show (each label, in English, and some in Spanish) are set
against queries about things that they do not show. None of the texts is one that the collection is
calibrated with.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from pareja.encoders import load_dual
from pareja.search import Collection, Query

ALSO_PRESENT = (
    "animals",
    "a castle",
    "musicians playing",
    "wind turbines in a field",
    "a fish swimming",
    "pyramids in the desert",
    "un gato",
    "un martillo",
    "molinos de viento",
    "peces",
    "una jirafa",
    "un perro",
    "paneles solares",
)
ABSENT = (
    "pizza",
    "an airplane",
    "a laptop computer",
    "strawberries",
    "a wedding",
    "a soccer match",
    "a bowl of soup",
    "a snowman",
    "a train at the station",
    "a helicopter",
    "mushrooms",
    "a hamburger",
    "a keyboard",
    "a spaceship",
    "a butterfly",
    "an elephant",
    "a lion",
    "a spider",
    "a rose",
    "a banana",
    "a wristwatch",
    "a sofa",
    "a traffic light",
    "a computer mouse",
    "a baby sleeping",
    "a swimming pool",
    "una pizza",
    "un avión",
    "una bicicleta",
    "un elefante",
    "una boda",
    "un tren",
    "quarterly tax return",
    "the meaning of law",
    "happiness",
    "contract negotiations",
    "a microscope",
)


def main() -> None:
    encoder = load_dual("starter")
    with (
        tempfile.TemporaryDirectory() as folder,
        Collection.open(Path(folder, "collection"), create=True) as collection,
    ):
        collection.index(["commons200"], encoder)
        labels = sorted({picture.label for picture in collection.pictures() if picture.label})
        kinds = {"present": (*labels, *ALSO_PRESENT), "absent": ABSENT}
        for kind, texts in kinds.items():
            said = [
                collection.search(Query(text=text), encoder, k=1).likely_relevant for text in texts
            ]
            print(f"{kind}: {len(texts)} queries, {np.mean(said):.0%} said to be relevant")
            wrong = [
                text
                for text, relevant in zip(texts, said, strict=True)
                if relevant != (kind == "present")
            ]
            print(f"  wrong: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
