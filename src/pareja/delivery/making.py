"""Making a delivery: data, code for the tasks, the document, and what runs them anywhere."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import jinja2

from pareja.datasets.packing import PackResult
from pareja.decimals import counted
from pareja.delivery.layout import Layout, layout
from pareja.delivery.memoria import SOURCE, is_stale
from pareja.delivery.memoria import memoria as build_memoria
from pareja.delivery.notebooks import notebook_of
from pareja.encoders import list_models
from pareja.errors import InputError
from pareja.files import atomic_write, replace_own
from pareja.inputs import Pictures, find_dataset
from pareja.report.write import NAMES
from pareja.tasks.checks import pack
from pareja.words.wording import Lang, Wording

_IGNORED = ".venv/\n__pycache__/\n.ipynb_checkpoints/\n{output}/\n"
# Modification times in the zip: the same delivery is the same bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Delivery:
    """What was made.

    Parameters
    ----------
    path
        The folder or zip.
    files
        The names of the files in it.
    kept
        Those that were changed by hand since an earlier call, and left as they are.
    stale
        Whether the document was begun from another run of the study, so that its tables and figures
        are not those of the annex.
    """

    path: Path
    files: tuple[str, ...]
    kept: tuple[str, ...]
    stale: bool


def deliver(
    data: Pictures,
    study: Path | str,
    memoria: Path | str = "memoria",
    out: Path | str = "entrega",
    *,
    lang: Lang = "es",
    profile: str = "course",
    force: bool = False,
) -> Delivery:
    """Put together what is handed in: data, code, document, and what runs it anywhere.

    Parameters
    ----------
    data
        The dataset that was studied: it, its name or its place. It must pass the checks.
    study
        The folder that the study was written to.
    memoria
        The folder of the document, which is built again.
    out
        The folder to write, or a zip. In a folder, files of yours stay, and so do scripts,
        ``README.md``, ``Makefile`` and ``Dockerfile`` that you changed.
    lang
        The language of the code's comments and of ``README.md``.
    profile
        The rules that the dataset must pass.
    force
        Replace a zip that exists.

    Returns
    -------
    Delivery
        Where it is, and what is in it.

    Raises
    ------
    InputError
        If there is no study or no document where they are said to be, or the study is of another
        dataset.
    DatasetError
        If the dataset has errors; the message names the first.
    OutputError
        If something of yours would be replaced.
    """
    dataset = find_dataset(data)
    folder = Path(os.fspath(study))
    results = _study_json(folder)
    told = results["dataset"]
    if told["images"] != len(dataset):
        raise InputError(
            f"{folder} is a study of {counted(told['images'], 'picture')} ({told['name']}), and "
            f"the dataset {dataset.name} has {len(dataset)}. Give the dataset that was studied, or "
            "run the study again."
        )
    document = Path(os.fspath(memoria))
    if not (document / SOURCE).is_file():
        raise InputError(
            f"{document} has no {SOURCE}. Start it with 'pareja memoria {folder}', and write it."
        )
    build_memoria(document)
    stale = is_stale(document / SOURCE, folder)
    names = layout(lang)
    files: dict[str, bytes] = {}
    with TemporaryDirectory(prefix="pareja-delivery-") as temporary:
        packed: PackResult = pack(dataset, Path(temporary) / names.dataset, profile=profile)
        files[names.dataset] = packed.path.read_bytes()
    files |= _code(results, names, lang)
    files[names.study] = (folder / "study.json").read_bytes()
    files |= {f"memoria/{name}": content for name, content in _document(document).items()}
    for ending in ("html", "pdf"):
        report = folder / f"{NAMES[lang][0]}.{ending}"
        if report.is_file():
            files[f"{names.annex}/{report.name}"] = report.read_bytes()
    target = Path(os.fspath(out))
    if target.suffix.lower() == ".zip":
        atomic_write(target, _zipped(target.stem, files), force=force)
        return Delivery(target.absolute(), tuple(files), (), stale)
    written = set(replace_own(target, files, keep=names.editable))
    kept = tuple(name for name in files if (target / name).resolve() not in written)
    return Delivery(target.absolute(), tuple(files), kept, stale)


def _study_json(folder: Path) -> dict[str, Any]:
    path = folder / "study.json"
    if not path.is_file():
        raise InputError(
            f"{folder} has no study.json. Give the folder that 'pareja study' wrote, with its "
            "report."
        )
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return results


def _document(folder: Path) -> dict[str, bytes]:
    """Return every file of the document's folder but hidden ones, by name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [(path, path.relative_to(folder)) for path in paths]
    return {
        name.as_posix(): path.read_bytes()
        for path, name in names
        if not any(part.startswith(".") for part in name.parts)
    }


def _code(results: Mapping[str, Any], names: Layout, lang: Lang) -> dict[str, bytes]:
    """Return scripts, notebook and what runs them, made from the study's settings."""
    words = Wording(lang)
    encoders: Mapping[str, Any] = results["encoders"]
    of_kind = {
        kind: [name for name, encoder in encoders.items() if encoder["kind"] == kind]
        for kind in ("pair", "dual")
    }
    version = results["versions"]["pareja"]
    embedded = {model.name for model in list_models() if model.comes_with_pareja}
    downloads = [name for name in encoders if name not in embedded]
    settings = results["settings"]
    told = results["dataset"]
    values = {
        **names.as_values(),
        "lang": lang,
        "pairs": json.dumps(of_kind["pair"], ensure_ascii=False),
        "duals": json.dumps(of_kind["dual"], ensure_ascii=False),
        "encoders": json.dumps(list(encoders), ensure_ascii=False),
        "captions": json.dumps(settings.get("captions", "caption"), ensure_ascii=False),
        **{key: settings[key] for key in ("seed", "permutations", "resamples")},
        "version": version,
        "requirement": f"pareja{'[models]' if downloads else ''}=={version}",
        "image": "entrega" if lang == "es" else "delivery",
    }
    scripts = {
        names.task2: _filled(f"task2_{lang}.py.jinja", values),
        names.task3: _filled(f"task3_{lang}.py.jinja", values),
    }
    readme = {
        "dataset": told["name"],
        "pictures": words.count("picture", told["images"]),
        "categories": words.count("category", len(told["categories"])),
        "encoders": words.listing(list(encoders)),
        "downloads": " ".join(f"pareja models fetch {name};" for name in downloads).rstrip(";"),
    }
    texts = {
        **scripts,
        names.notebook: notebook_of(scripts.values()),
        "README.md": _filled(f"README_{lang}.md.jinja", values | readme),
        "Makefile": _filled("Makefile.jinja", values),
        "Dockerfile": _filled("Dockerfile.jinja", values),
        ".gitignore": _IGNORED.format(output=names.output),
        ".dockerignore": _IGNORED.format(output=names.output) + ".git/\n",
    }
    return {name: text.encode() for name, text in texts.items()}


@cache
def _templates() -> jinja2.Environment:
    # Programs and Markdown: what is filled in is written by `json.dumps`, or shown as it is.
    return jinja2.Environment(
        loader=jinja2.PackageLoader("pareja.delivery"),
        autoescape=False,  # noqa: S701  no HTML is made
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )


def _filled(template: str, values: Mapping[str, object]) -> str:
    return _templates().get_template(template).render(values)


def _zipped(stem: str, files: Mapping[str, bytes]) -> bytes:
    """Return a zip with the files in one folder; the same files give the same bytes."""
    stream = io.BytesIO()
    root = re.sub(r"[^\w.-]", "-", stem)
    with ZipFile(stream, "w", ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(ZipInfo(f"{root}/{name}", _EPOCH), files[name], ZIP_DEFLATED)
    return stream.getvalue()
