from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# What a run must have shown, besides ending without an error.
SHOWN = {
    "ask_your_pictures": (
        "data:image/jpeg",
        "recall@5",
        "(95 %: 0,",
        "una pizza -> no se envía nada",
        "citas inventadas: [9999]",
    ),
    "pre_clip_and_clip": (
        "image/png",
        "el coseno no está definido",
        "random_projection",
        "McNemar",
    ),
    "search_homework": ("data:image/jpeg", "widget-view", "✓ valorada como relevante", "nDCG@5"),
    "train_and_tune": ("image/png", "negativos por imagen", "sigmoid", "sin recordar", "antes:  "),
    "where_in_the_picture": ("data:image/jpeg", "widget-view", "locate? True", "clip-shapes  0,"),
}

# A line that says how much is computed, and with what a test replaces its values.
SMALLER = {
    "train_and_tune": (
        "IMAGENES, EPOCAS, LOTES, PRUEBA, NUEVAS, EPOCAS_LORA = ",
        "48, 1, (8, 16), 12, 12, 2",
    ),
    "where_in_the_picture": ("FOTOS, DIBUJOS, CON_RECUADROS = ", "1, 8, 2"),
}


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def shrink(book: Any, names: str, values: str) -> None:
    (cell,) = (cell for cell in book.cells if cell.source.startswith(names))
    _, _, rest = cell.source.partition("\n")
    cell.source = f"{names}{values}\n{rest}"


@pytest.mark.notebooks
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_runs_without_a_warning(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The kernel inherits them: it needs no network, and does not fight other tests for cores.
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    book = read(path)
    if path.stem in SMALLER:
        shrink(book, *SMALLER[path.stem])
    client = NotebookClient(
        book,
        timeout=300,
        kernel_name="python3",
        # A line that is printed in two parts stays one text.
        coalesce_streams=True,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    # Not all that is there: matplotlib tells when it looks at a machine's fonts for the first time.
    complaints = [output.text for output in outputs if output.get("name") == "stderr"]
    assert not [text for text in complaints if "Warning" in text]
    text = repr(outputs)
    assert [words for words in SHOWN.get(path.stem, ()) if words not in text] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_is_kept_without_results(path: Path) -> None:
    book = read(path)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code)


def test_the_notebooks_are_there() -> None:
    assert SHOWN.keys() <= {path.stem for path in NOTEBOOKS}
