"""What cutting embeddings costs models that were not trained for it.

    python benchmarks/truncation.py

Embeds pictures and captions with the encoders that come with pareja, keeps the first numbers of
each vector, and prints how often a caption finds its picture first, as a table. Beside it stands
what is left when the same number of the vector is kept after a rotation that puts what varies most
first (principal components of other pictures and captions), which needs no training either.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pareja import load, load_dataset
from pareja.analysis.retrieval import retrieval
from pareja.embedding.pipeline import embed_dataset
from pareja.encoders import require_both
from pareja.encoders.truncation import cut

RUNS = (
    ("clip-shapes", "shapes:800:5"),
    ("siglip-shapes", "shapes:800:5"),
    ("starter", "commons200"),
)
SHARES = (1, 2, 4, 8)

Rows = NDArray[np.float32]


def components(rows: Rows) -> Rows:
    """Return the rotation that puts first what varies most among rows, ``(dim, dim)``."""
    values, vectors = np.linalg.eigh(np.cov(rows.T.astype(np.float64)))
    return np.asarray(vectors[:, np.argsort(-values)], np.float32)


def found(images: Rows, captions: Rows, owner: NDArray[np.intp], dim: int) -> str:
    """Return how often a caption finds its picture first, with an interval."""
    similarity = cut(images, dim) @ cut(captions, dim).T
    _, by_text = retrieval(similarity, owner)
    first = by_text.recall[1]
    return f"{first.value:.3f} [{first.low:.3f}, {first.high:.3f}]"


def main() -> None:
    """Print the table."""
    print("| model | pictures | numbers | first numbers | first principal components |")
    print("| --- | --- | --- | --- | --- |")
    for name, source in RUNS:
        encoder = require_both(load(name))
        dataset = load_dataset(source)
        half = len(dataset.records) // 2
        known, measured = (
            embed_dataset(replace(dataset, records=records), encoder)
            for records in (dataset.records[:half], dataset.records[half:])
        )
        rotation = components(np.concatenate([known.images, known.captions]))
        owner = measured.dataset.owner
        for share in SHARES:
            dim = encoder.image_dim // share
            plain = found(measured.images, measured.captions, owner, dim)
            turned = found(measured.images @ rotation, measured.captions @ rotation, owner, dim)
            print(f"| {name} | {len(measured.images)} of {source} | {dim} | {plain} | {turned} |")


if __name__ == "__main__":
    main()
