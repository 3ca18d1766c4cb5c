"""Write the parts of the documentation that are made from the code; what ``make docs`` runs.

``tests/test_docs.py`` compares what is committed with what `pages` returns, so that no option,
model or module can be missing from the documentation.
"""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from pareja.cli import build_app
from pareja.encoders import ModelCard
from pareja.encoders.catalogue import bundled_models

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "pareja"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
TREE = re.compile(
    r"(?<=<!-- tree: written by make docs -->\n).*?(?=<!-- end of tree -->)", re.DOTALL
)

COMMANDS = """# Commands

Written by `make docs` from the commands themselves; `pareja COMMAND --help` says the same.

Standard output is the result, standard error is progress and messages. A command exits with 0 when
it did what it was asked, 1 when it could not, 2 when it was asked wrongly, and 130 when
interrupted.
"""
MODELS = """# Models

Written by `make docs` from the catalogue, `src/pareja/encoders/models.toml`.
[The guide to models](../guides/models.md) tells how to get and use them.

- *dim*: length of an embedding.
- *side*: side of the square that the image network sees, in pixels.
- *MB*: what a download takes.
- *loss*: how a dual encoder was trained, hence how its logits become probabilities.
- *texts*: the languages that it reads.
- *speed*: on a laptop's CPU roughly over 30 (fast), over 5 (medium) or under 5 pictures a second,
  or ten times as many sentences.

An empty cell: not published, or not looked up.
"""
RESULTS = """## Published results

In percent; higher is better. Nothing was measured here, and `pareja models show` names the source
of each number. *ImageNet* is zero-shot accuracy. The others are R@1: captions that find their
picture first, and pictures that find one of their captions first (*texts*), on the test pictures of
COCO (5,000) and Flickr30k (1,000). *Spanish* and *English* are captions that find their picture
first among the 3,600 of Crossmodal-3600.
"""
RESULT_COLUMNS = [
    "name",
    "ImageNet",
    "COCO",
    "COCO texts",
    "Flickr",
    "Flickr texts",
    "Spanish",
    "English",
    "sources",
]
COLUMNS = ["name", "model", "dim", "side", "MB", "loss", "texts", "speed", "licence"]


def pages() -> dict[Path, str]:
    """Return every generated page, and every page with a generated part, by its path."""
    tree = f"```text\n{package_tree()}```\n"
    return {
        ROOT / "docs" / "reference" / "cli.md": cli_page(),
        ROOT / "docs" / "reference" / "models.md": models_page(),
        ARCHITECTURE: TREE.sub(lambda _: tree, ARCHITECTURE.read_text(encoding="utf-8")),
    }


def cli_page() -> str:
    """Describe every command and option, from the commands themselves."""
    return "\n".join([COMMANDS, *_sections(typer.main.get_command(build_app()), "pareja")])


def _sections(command: Any, name: str) -> Iterator[str]:
    """Yield a section for each command, groups before their own commands."""
    commands = getattr(command, "commands", {})
    if name != "pareja":
        with command.make_context(name, [], resilient_parsing=True) as context:
            records = [parameter.get_help_record(context) for parameter in command.params]
        usage = [name, "[OPTIONS]"]
        usage += [p.metavar for p in command.params if p.param_type_name == "argument"]
        usage += ["COMMAND"] if commands else []
        table = _table(("", ""), ((f"`{written}`", text) for written, text in records))
        # Click marks paragraphs that it must not wrap with a backspace.
        text = (command.help or "").replace("\b\n", "")
        yield f"## {name}\n\n```text\n{' '.join(usage)}\n```\n\n{text}\n\n{table}\n"
    for subname, subcommand in commands.items():
        yield from _sections(subcommand, f"{name} {subname}")


def models_page() -> str:
    """List the catalogue."""
    cards = [card for card in bundled_models().values() if card.kind != "detector"]
    kinds = {
        "Embedded": [card for card in cards if card.repository is None],
        "Dual encoders": [c for c in cards if c.kind == "dual" and c.repository],
        "Image encoders": [card for card in cards if card.kind == "image"],
        "Text encoders": [card for card in cards if card.kind == "text"],
    }
    parts = [MODELS]
    for title, members in kinds.items():
        rows = [_model(card) for card in members]
        used = [column for column in range(len(COLUMNS)) if any(row[column] for row in rows)]
        table = _table([COLUMNS[i] for i in used], [[row[i] for i in used] for row in rows])
        parts.append(f"## {title}\n\n{table}\n")
    parts.append(f"{RESULTS}\n{_table(RESULT_COLUMNS, filter(any, map(_results, cards)))}\n")
    origins = [
        (f"`{c.name}`", f"`{c.repository}`", f"`{c.revision}`" if c.revision else "newest")
        for c in cards
        if c.repository
    ]
    table = _table(("name", "repository on the Hugging Face hub", "revision"), origins)
    parts.append(f"## Where they come from\n\n{table}\n")
    return "\n".join(parts)


def _model(card: ModelCard) -> tuple[str, ...]:
    return (
        f"`{card.name}`",
        card.title,
        f"{card.dim} + {card.text_dim}" if card.text_dim else str(card.dim),
        str(card.side or ""),
        f"{card.download_mb:.0f}" if card.download_mb else "",
        card.loss or "",
        card.languages or "",
        card.speed or "",
        card.licence.removeprefix("LicenseRef-"),
    )


def _results(card: ModelCard) -> tuple[str, ...]:
    """Return what is published of a model and by whom; nothing for the others."""
    figures = (card.imagenet, card.coco, card.flickr, card.xm3600)
    if not any(figures):
        return ()
    retrieval = (card.coco, card.flickr)
    numbers = [
        card.imagenet and card.imagenet.percent,
        *(n for found in retrieval for n in (found and found.pictures, found and found.texts)),
        card.xm3600 and card.xm3600.es,
        card.xm3600 and card.xm3600.en,
    ]
    cells = ("" if number is None else f"{number:.1f}" for number in numbers)
    sources = dict.fromkeys(figure.source for figure in figures if figure)
    return (f"`{card.name}`", *cells, "; ".join(sources))


def package_tree() -> str:
    """Draw the package, layers from top to bottom, each module with what it says of itself."""
    layers = runpy.run_path(str(ROOT / "tests" / "test_architecture.py"))["LAYERS"]
    lines = ["src/pareja/"]
    for path in sorted(SOURCE.rglob("*.py"), key=lambda path: _place(path, layers)):
        parts = path.relative_to(SOURCE).parts
        package = path.name == "__init__.py" and len(parts) > 1
        name = f"{parts[-2]}/" if package else path.name
        lines.append(f"{'  ' * (len(parts) - package) + name:<30} {_first_line(path)}")
    return "\n".join(lines) + "\n"


def _place(path: Path, layers: tuple[str, ...]) -> tuple[object, ...]:
    """Order by layer; in a folder the folder itself, its modules, then its folders."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    order = layers.index(parts[0]) if parts[0] in layers else -1
    nested = [
        (False, "") if part == "__init__" else (deeper > 1, part)
        for deeper, part in zip(range(len(parts) - 1, 0, -1), parts[1:], strict=True)
    ]
    return order, parts[0], nested


def _first_line(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].replace("``", "").rstrip(".")


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    cells = [list(header)]
    cells.append(["---"] * len(cells[0]))
    cells += [[re.sub(r"\s+", " ", cell).replace("|", r"\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
