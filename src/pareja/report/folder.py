"""Everything that a study leaves behind, in one folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pareja.report.write import write_report
from pareja.tasks.study import StudyResult
from pareja.tasks.study_export import study_to_json, write_csv
from pareja.words.wording import Lang


def write_folder(result: StudyResult, out: Path, *, langs: Sequence[Lang]) -> dict[str, str]:
    """Write a study's numbers, matrices, figures and reports.

    Parameters
    ----------
    result
        What was measured.
    out
        An empty folder, such as `pareja.files.staged_directory` yields.
    langs
        The languages of the reports, one report each.

    Returns
    -------
    dict
        Path of each file relative to `out`, by what it is: ``study``, ``pairs``,
        ``similarity-NAME``, and the names that `write_report` gives.
    """
    files = dict(write_csv(result, out))
    for lang in langs:
        files |= write_report(result, out, lang=lang)
    names = {name: path.relative_to(out).as_posix() for name, path in files.items()}
    names = {"study": "study.json", **names}
    document = study_to_json(result, names)
    (out / "study.json").write_text(
        json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n",
        encoding="utf-8",
    )
    return names
