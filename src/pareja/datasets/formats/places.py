"""What folders' names say: which are classes, which are splits, which a program made."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

_SPLITS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training", "trainset", "train_set"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "val_set"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation", "test_set"), "test"),
}
_SPLIT_WORD = re.compile(
    r"(?:^|[-_. ])(train|training|val|valid|validation|dev|test|eval)(?=$|[-_. 0-9])"
)

_PLAIN_FOLDERS = frozenset({"images", "image", "imgs", "img", "jpegimages", "data"})
"""Folders that hold pictures in many layouts and say nothing about them."""

_SHARD = re.compile(r"0\d{3,}|\d{5,}|(?:part|shard|chunk|batch)[-_ ]?\d+")

_BY_PRODUCTS = re.compile(
    r"@eadir|@tmp|@recycle|@recently-snapshot|@sharebin|@transcode|#recycle|#snapshot"
    r"|\$recycle\.bin|recycler|recycled|system volume information|lost\+found|\.trash.*"
    r"|__macosx|__pycache__|network trash folder|temporary items|ipod photo cache"
    r"|.*\.lrdata|.*\.photoslibrary|.*\.aplibrary|appdata_\w+|encoded-video|captureone",
    re.IGNORECASE,
)
_THUMBNAILS = re.compile(r"_?(thumb|thumbs|thumbnails?|previews?)", re.IGNORECASE)


def split_named(name: str) -> str | None:
    """Return the split that a word names, in one spelling.

    Examples
    --------
    >>> split_named("Valid"), split_named("train2017"), split_named("cats")
    ('validation', 'train', None)
    """
    return _SPLITS.get(re.sub(r"[-_ ]?\d{4}$", "", name.lower()))


def split_in_file_name(name: str) -> str | None:
    """Return the split that the name of a metadata file or shard contains.

    Examples
    --------
    >>> split_in_file_name("captions_val2017.json"), split_in_file_name("captions.csv")
    ('validation', None)
    """
    found = _SPLIT_WORD.search(PurePosixPath(name).stem.lower())
    return _SPLITS[found[1]] if found else None


def without_by_products(names: Sequence[str], pictures: Iterable[str]) -> Mapping[str, str]:
    """Return the files to leave out, each with the folder that is the reason.

    Bins, thumbnails of network drives and catalogues of photo programs are left out; a folder
    called ``thumbs`` or ``previews`` only beside pictures that lie elsewhere.

    Parameters
    ----------
    names
        All files.
    pictures
        Those of them that are pictures.
    """
    reasons: dict[str, str] = {}
    thumbnails: dict[str, str] = {}
    for name in names:
        for part in name.split("/")[:-1]:
            if _BY_PRODUCTS.fullmatch(part):
                reasons[name] = part
                break
            if _THUMBNAILS.fullmatch(part):
                thumbnails[name] = part
                break
    if thumbnails and any(name not in reasons and name not in thumbnails for name in pictures):
        reasons.update(thumbnails)
    return reasons


class Folders:
    """What the folders of a tree mean for the pictures in them.

    Parameters
    ----------
    pictures
        The pictures' names.
    """

    def __init__(self, pictures: Iterable[str]) -> None:
        children: dict[str, set[str]] = {}
        for name in {PurePosixPath(picture).parent for picture in pictures}:
            for folder in (name, *name.parents):
                if folder.name:
                    children.setdefault(folder.parent.as_posix(), set()).add(folder.name)
        self._splits = {
            (PurePosixPath(parent) / name).as_posix(): found
            for parent, siblings in children.items()
            if _are_splits(siblings)
            for name in siblings
            if (found := split_named(name))
        }

    def split(self, picture: str) -> str | None:
        """Return the split that a picture's folders name."""
        return next(
            (
                found
                for folder in PurePosixPath(picture).parents
                if (found := self._splits.get(folder.as_posix()))
            ),
            None,
        )

    def category(self, picture: str) -> str | None:
        """Return the name of the nearest folder that is no split, no shard and no plain one."""
        for folder in PurePosixPath(picture).parents:
            name = folder.name
            if name and not (
                folder.as_posix() in self._splits
                or name.lower() in _PLAIN_FOLDERS
                or _SHARD.fullmatch(name.lower())
            ):
                return name
        return None


def _are_splits(siblings: Iterable[str]) -> bool:
    """Return whether folders side by side are splits; among buses and cars a train is none."""
    named = Counter(split_named(name) for name in siblings)
    return len(named.keys() - {None}) > 1 or None not in named
