"""What agents can do with collections: each public method of `Tools` is a tool, and only reads."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from pareja.agents.sheet import CELL, contact_sheet, jpeg
from pareja.data_urls import read_inline
from pareja.errors import CollectionError, DatasetError, InputError

if TYPE_CHECKING:
    from PIL import Image

    from pareja.classifiers.zero_shot import ZeroShot
    from pareja.encoders import ImageEncoder
    from pareja.search import Collection, Picture

MAX_LOOK = 24
"""Most pictures of one contact sheet."""

PICTURE_SIDE = 768
"""Longer side, in pixels, of a picture that is shown alone."""


class Tools:
    """What agents can do with collections.

    Parameters
    ----------
    collections
        By the names that agents call them; at least one. They are only read.
    device
        What their encoders run on, as in `pareja.load`.
    """

    def __init__(self, collections: Mapping[str, Collection], device: str | None = None) -> None:
        self._collections = dict(collections)
        self._device = device

    def collections(self) -> dict[str, Any]:
        """Say what there is: each collection's pictures, categories, encoders and query sets."""
        return {
            name: {
                "pictures": each.count(),
                "categories": each.categories(),
                "models": list(each.models()),
                "query_sets": list(each.query_sets()),
            }
            for name, each in self._collections.items()
        }

    def search(
        self,
        words: str | None = None,
        like: int | None = None,
        image: str | None = None,
        box: list[float] | None = None,
        minus: str | None = None,
        category: str | None = None,
        model: str | None = None,
        k: int = 10,
        fold: bool = False,
        hybrid: bool = False,
        collection: str | None = None,
    ) -> dict[str, Any]:
        """Find pictures by words, by a picture, or by both.

        Give `words`, a picture, or both. A picture is `like`, the id of one of the collection (more
        like this), or `image`, a data URL of one from elsewhere. With `box` only that part of
        it counts: left, top, width and height in pixels; fractions of its sides where all are at
        most 1. `minus` are words to move away from. Parts of the words may have weights:
        "a cat::2 in snow::0.5 indoors::-0.5". Hits are ordered, the best first;
        `likely_relevant` is false where unrelated queries score as high here, so that probably no
        picture fits. With `fold`, near duplicates are one hit, which has the ids of the others in
        `near_duplicates`. With `hybrid`, the words are also looked up in captions and file names:
        use it for names, places, dates and other rare words. `why` then has the words that a
        picture's texts have, and its ranks by words and by vectors.
        """
        from pareja.search import Query

        if not 1 <= k <= 100:
            raise InputError(f"`k` is {k}. Ask for 1 to 100 pictures.")
        shelf = self._named(collection)
        # As a query: among the arguments of `search`, the name of a picture's file would be read.
        query = Query(
            text=words or None,
            like=like,
            image=read_inline(image, "image") if image else None,
            box=box or None,
            minus=minus or None,
            category=category or None,
        )
        encoder = self._encoder(shelf, model)
        found = shelf.search(query, encoder, k=k, fold=fold, hybrid=hybrid)
        return {
            "model": found.model,
            "likely_relevant": found.likely_relevant,
            "hits": [
                {
                    "rank": hit.rank,
                    "score": round(hit.score, 4),
                    **_described(hit.picture),
                    **(
                        {"near_duplicates": [other.picture.id for other in hit.near_duplicates]}
                        if fold
                        else {}
                    ),
                    **({} if hit.why is None else {"why": asdict(hit.why)}),
                }
                for hit in found
            ],
        }

    def look(self, ids: Sequence[int], collection: str | None = None) -> bytes:
        """Show pictures side by side, each with its id above it; at most 24.

        One that cannot be read any more is a crossed-out frame.
        """
        if not 1 <= len(ids) <= MAX_LOOK:
            raise InputError(f"`ids` has {len(ids)} pictures. Give 1 to {MAX_LOOK}.")
        shelf = self._named(collection)
        return contact_sheet([(n, _shown(shelf, n)) for n in ids])

    def picture(
        self, picture_id: int, collection: str | None = None
    ) -> tuple[dict[str, Any], bytes]:
        """Show one picture, and say all that is known of it: captions, category, source, file."""
        shelf = self._named(collection)
        picture = shelf.picture(picture_id)
        known = asdict(picture) | {"path": picture.shown_path}
        return known, jpeg(_read(shelf, picture_id, PICTURE_SIDE))

    def classify(
        self,
        ids: Sequence[int],
        labels: Sequence[str],
        model: str | None = None,
        several: bool = False,
        collection: str | None = None,
    ) -> dict[str, Any]:
        """Say how probable each of the labels is for each picture.

        The probabilities of a picture sum to 1, so one label is always the most probable, also
        where none fits; with `several` each label is decided on its own, and all may be absent.
        """
        from pareja.classifiers.zero_shot import zero_shot
        from pareja.encoders import require_dual

        if not ids:
            raise InputError("`ids` is empty. Give the pictures to classify.")
        shelf = self._named(collection)
        encoder = require_dual(self._encoder(shelf, model))
        judge = zero_shot(labels, encoder, multi_label=several)
        known, rows = shelf.embeddings(encoder, ids)
        for missing in sorted({*ids}.difference(known.tolist())):
            raise CollectionError(
                f"{shelf.picture(missing).shown_name}, picture {missing}, did not go through "
                f"{encoder.name}. Leave it out, or use another `model`."
            )
        result = judge.classified(rows)
        return {
            "model": encoder.name,
            "pictures": [
                {
                    "id": int(picture_id),
                    "labels": list(result.assigned(n)),
                    "probabilities": {k: round(p, 4) for k, p in result.scores(n).items()},
                }
                for n, picture_id in enumerate(known)
            ],
        }

    def evaluate(self, query_set: str, collection: str | None = None) -> dict[str, Any]:
        """Measure searches by a judged query set: P@k, nDCG@5 and MRR, with 95 % intervals.

        Every encoder of the collection is measured; where there are several, `differences` has
        the first one's nDCG minus each other's, paired over the queries.
        """
        from pareja.search.judging import differences

        shelf = self._named(collection)
        if query_set not in shelf.query_sets():
            known = ", ".join(shelf.query_sets()) or "none"
            raise CollectionError(
                f"there is no query set {query_set!r}; there are: {known}. Judge queries on the "
                "pages of the collection, or add a bundled set with: pareja evaluate."
            )
        scores = [shelf.evaluate(self._encoder(shelf, name), query_set) for name in shelf.models()]
        return {
            "query_set": query_set,
            "models": {each.model: each.to_json() for each in scores},
            "differences": [
                {"a": d.a, "b": d.b, **asdict(d.estimate), "better": d.better}
                for d in differences(scores)
            ],
        }

    def compare(
        self, truth: Literal["category", "label"] = "category", collection: str | None = None
    ) -> dict[str, Any]:
        """Measure how often each encoder names the category, or label, of the pictures rightly.

        Accuracies have 95 % intervals and stand beside `chance`. `differences` has the accuracy of
        `a` minus that of `b` on the same pictures; `better` is null where chance explains it
        (McNemar's test).
        """
        from pareja.analysis.verdicts import of_agreement
        from pareja.classifiers.zero_shot import zero_shot
        from pareja.encoders import require_dual
        from pareja.errors import EncoderError
        from pareja.tasks.compare_stored import compare_stored

        shelf = self._named(collection)
        problems: dict[str, str] = {}

        def classifiers(labels: tuple[str, ...]) -> list[ZeroShot]:
            ready = []
            for name in shelf.models():
                try:
                    ready.append(zero_shot(labels, require_dual(self._encoder(shelf, name))))
                except EncoderError as error:
                    problems[name] = str(error)
            return ready

        compared = compare_stored(shelf, classifiers, truth)
        if compared is None:
            raise CollectionError(
                f"fewer than two different values of {truth!r} are known, so that there is nothing "
                "to tell apart. Compare by the other field, or use classify with labels."
            )
        found = compared.found
        return {
            "pictures": len(compared.pictures),
            "labels": list(compared.labels),
            "models": {
                model.name: {
                    name: asdict(getattr(model.scores, name))
                    for name in ("top1", "balanced_accuracy", "macro_f1")
                }
                for model in found.models
            },
            "chance": found.models[0].scores.chance_top1 if found.models else None,
            "differences": [
                {
                    "a": a,
                    "b": b,
                    **asdict(agreement.difference),
                    "p": agreement.p_value,
                    "better": {"above": a, "below": b}.get(of_agreement(agreement)),
                }
                for a, b, agreement in found.agreements
            ],
            "left_out": problems,
        }

    def _named(self, name: str | None) -> Collection:
        """Return the collection of that name, or the only one."""
        known = ", ".join(self._collections)
        if not name:
            if len(self._collections) > 1:
                raise InputError(f"there are several collections. Set `collection`: {known}.")
            return next(iter(self._collections.values()))
        if name not in self._collections:
            raise CollectionError(f"there is no collection {name!r}; there are: {known}.")
        return self._collections[name]

    def _encoder(self, shelf: Collection, name: str | None) -> ImageEncoder:
        known = shelf.models()
        if name and name not in known:
            raise CollectionError(
                f"no picture went through {name!r}. The collection has: {', '.join(known)}."
            )
        return shelf.encoder(name or None, device=self._device)


def _read(shelf: Collection, picture_id: int, side: int) -> Image.Image:
    from pareja.datasets import decode_image

    name = shelf.picture(picture_id).shown_path
    image = decode_image(io.BytesIO(shelf.read(picture_id)), network_side=side, name=name)
    image.thumbnail((side, side))
    return image


def _shown(shelf: Collection, picture_id: int) -> Image.Image:
    """Return a picture of a contact sheet: one that is not there does not take the others along."""
    from pareja.report.pictures import crossed_out

    try:
        return _read(shelf, picture_id, CELL)
    except DatasetError:
        return crossed_out(CELL)


def _described(picture: Picture) -> dict[str, Any]:
    return {
        "id": picture.id,
        "name": picture.shown_name,
        "caption": picture.caption,
        "category": picture.category,
    }
