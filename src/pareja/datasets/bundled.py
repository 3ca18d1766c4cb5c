"""The datasets that come with pareja, with the attribution of each picture."""

from __future__ import annotations

from pathlib import Path

from pareja.errors import DatasetError

BUNDLED = ("pareja20", "commons200", "boxes_pareja20", "boxes_commons200")
"""Their names: 20 pictures in 4 categories, and 220 public-domain pictures with labels.

After ``boxes_`` those of their pictures in which somebody drew boxes, with these.
"""

_PACKAGE = Path(__file__).parent


def bundled_path(name: str) -> Path:
    """Return the folder of a bundled dataset, or the JSON file of one with boxes.

    ``pareja20`` is part of the package. ``commons200`` lies in the repository's ``data`` folder,
    and is found from a source checkout or from the repository as the current folder. Boxes lie
    beside the folder that their pictures are in, in COCO's format.

    Parameters
    ----------
    name
        One of `BUNDLED`.

    Raises
    ------
    DatasetError
        If there is no such dataset, or it did not come with this installation.
    """
    if name not in BUNDLED:
        raise DatasetError(f"no bundled dataset {name!r}; there are: {', '.join(BUNDLED)}.")
    checkout = _PACKAGE.parents[2]
    for folder in (_PACKAGE / "bundled", checkout / "data", Path.cwd() / "data"):
        for path in (folder / name / "metadata.csv", folder / f"{name}.json"):
            if path.is_file():
                return path.parent if path.suffix == ".csv" else path
    raise DatasetError(
        f"{name} is not in this installation. It is in the folder data of pareja's repository: "
        "clone that, and run the command there or give the path."
    )
