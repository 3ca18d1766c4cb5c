"""Where words are in pictures, as JSON, CSV and as COCO's tools read results."""

from __future__ import annotations

from typing import Any

from pareja.regions.maps import Box
from pareja.regions.thresholds import Threshold
from pareja.tables import table
from pareja.tasks.labelling_export import estimate_to_json
from pareja.tasks.locating import Located
from pareja.tasks.locating_looks import Place
from pareja.tasks.locating_measures import PlaceScores


def located_to_json(located: Located, *, maps: bool = True) -> dict[str, Any]:
    """Return the result as plain values.

    Parameters
    ----------
    located
        The result.
    maps
        Whether the maps are among them.

    Returns
    -------
    dict
        ``model``, ``words``, ``threshold``, ``images`` (each with ``path``, ``width``, ``height``
        and ``places``: ``words``, ``score``, ``here``, ``point``, ``boxes`` and the map with the
        rectangle that it covers), ``skipped``, ``took_ms`` and
        ``measured``, null where nobody asked. Boxes are ``[left, top, width,
        height]`` in pixels of the upright picture, as in COCO.
    """
    return {
        "model": located.model,
        "words": list(located.words),
        "threshold": located.threshold and _threshold(located.threshold),
        "images": [
            {
                "path": picture.record.file_name,
                "width": picture.width,
                "height": picture.height,
                "places": [place_to_json(place, maps=maps) for place in picture.places],
            }
            for picture in located.pictures
        ],
        "skipped": [{"path": path, "reason": reason} for path, reason in located.skipped],
        "took_ms": round(1000 * located.seconds),
        "measured": located.measured and scores_to_json(located.measured),
    }


def scores_to_json(scores: PlaceScores) -> dict[str, Any]:
    """Return how well places were found as plain values."""
    pointing = scores.pointing
    return {
        "threshold": _threshold(scores.threshold),
        "auroc": estimate_to_json(scores.presence.auroc),
        "kept": estimate_to_json(scores.presence.kept),
        "refused": estimate_to_json(scores.presence.refused),
        "pointing": pointing
        and {
            "pictures": pointing.n_pictures,
            "things": pointing.n_things,
            "hits": estimate_to_json(pointing.hits),
            "centre": estimate_to_json(pointing.centre),
            "random": pointing.random,
            "above_centre": estimate_to_json(pointing.above_centre),
            "things_off_centre": pointing.n_off_centre,
            "off_centre": pointing.off_centre and estimate_to_json(pointing.off_centre),
        },
        "precision": scores.precision and dict(scores.precision),
        "empty": list(scores.empty),
    }


def _threshold(threshold: Threshold) -> dict[str, Any]:
    return {
        "score": threshold.score,
        "missed": threshold.missed,
        "false": threshold.false,
        "pictures": threshold.pictures,
        "source": threshold.source,
    }


def place_to_json(place: Place, *, maps: bool) -> dict[str, Any]:
    """Return where some words are in a picture as plain values, with or without the map."""
    shown: dict[str, Any] = {
        "words": place.words,
        "score": round(place.score, 6),
        "here": place.here,
        "point": [round(edge, 1) for edge in place.point],
        "boxes": [{"box": rounded(box), "score": round(box.score, 6)} for box in place.boxes],
    }
    if maps and place.heat is not None:
        shown["map"] = [[round(float(cell), 6) for cell in row] for row in place.heat]
        shown["map_covers"] = [round(edge, 1) for edge in place.seen]
    return shown


def rounded(box: Box) -> list[float]:
    """Return left, top, width and height to a tenth of a pixel."""
    return [round(edge, 1) for edge in box.rectangle]


def located_to_coco(located: Located) -> list[dict[str, Any]]:
    """Return every box as COCO's tools read results (Lin et al. 2014).

    Returns
    -------
    list of dict
        ``image_id`` is the number of the picture in the order given, ``category_id`` that of the
        words, both from 1 on, and ``file_name`` and ``words`` say which; ``bbox`` is ``[left, top,
        width, height]``. Words that are taken not to be there have no box.
    """
    numbers = {text: number for number, text in enumerate(located.words, 1)}
    return [
        {
            "image_id": number,
            "category_id": numbers[place.words],
            "bbox": rounded(box),
            "score": round(box.score, 6),
            "file_name": picture.record.file_name,
            "words": place.words,
        }
        for number, picture in enumerate(located.pictures, 1)
        for place in picture.places
        if place.here is not False
        for box in place.boxes
    ]


def located_to_csv(located: Located) -> str:
    """Return a table, a box a row, and one row without a box where words are taken not to be there.

    Columns are ``path``, ``words``, ``score``, ``here``, ``left``, ``top``, ``width``, ``height``,
    ``box_score``.
    """
    rows: list[list[Any]] = [
        ["path", "words", "score", "here", "left", "top", "width", "height", "box_score"]
    ]
    here = {True: "yes", False: "no", None: ""}
    for picture in located.pictures:
        for place in picture.places:
            start = [picture.record.file_name, place.words, f"{place.score:.6f}", here[place.here]]
            boxes = () if place.here is False else place.boxes
            rows += [[*start, *rounded(box), f"{box.score:.6f}"] for box in boxes]
            if not boxes:
                rows.append([*start, "", "", "", "", ""])
    return table(rows)
