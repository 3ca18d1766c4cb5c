"""Measure how many good captions are called mismatched, and how many swapped ones are found.

The limits of pareja.datasets.captions.mismatches come from this table, made with the embedded
encoder. Run from the repository:

    python benchmarks/caption_mismatch.py
"""

from __future__ import annotations

from typing import cast

import numpy as np

from pareja.datasets.captions import mismatches
from pareja.datasets.formats import load_dataset
from pareja.datasets.images import decode_image
from pareja.encoders import load
from pareja.encoders.protocols import DualEncoder

DRAWS = 300


def main() -> None:
    encoder = cast(DualEncoder, load("starter"))
    draw = np.random.default_rng(0)
    for location in ("pareja20", "data/commons200"):
        records = [record for record in load_dataset(location) if record.caption.strip()]
        images = encoder.encode_images([decode_image(record.source) for record in records])
        texts = encoder.encode_texts([record.caption for record in records])
        similarity = np.asarray(images) @ np.asarray(texts).T
        for size in (20, 100):
            if size > len(records):
                continue
            owner = np.arange(size)
            false, found, noticed = [], [], []
            for _ in range(DRAWS):
                chosen = draw.choice(len(records), size, replace=False)
                scores = similarity[np.ix_(chosen, chosen)]
                captions = [records[index].caption for index in chosen]
                false.append(len(mismatches(scores, owner, captions)) / size)
                one, other = draw.choice(size, 2, replace=False)
                swapped = owner.copy()
                swapped[[one, other]] = other, one
                suspects = {
                    mismatch.own
                    for mismatch in mismatches(
                        scores[:, swapped], owner, [captions[index] for index in swapped]
                    )
                }
                hits = len(suspects & {int(one), int(other)})
                found.append(hits / 2)
                noticed.append(hits > 0)
            print(
                f"{location}, {size} pictures: {np.mean(false):.1%} of good captions flagged; "
                f"{np.mean(found):.0%} of swapped ones found, "
                f"{np.mean(noticed):.0%} of swaps noticed"
            )


if __name__ == "__main__":
    main()
