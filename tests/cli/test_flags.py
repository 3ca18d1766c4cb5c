"""Messages name parameters, the command line its options, and every option that is named exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import typer

import pareja as library
from pareja.cli import build_app
from pareja.cli.flags import command_named, with_flags
from pareja.errors import PARAMETER, LabelError, OutputError

if TYPE_CHECKING:
    from tests.cli.conftest import Pareja

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "pareja"
COMMANDS: Any = typer.main.get_command(build_app())

_FLAG = re.compile(r"(?<![\w-])(?<!var\()--[a-z][a-z-]*(?!\w|-|:)")
_OURS = re.compile(r"\bpareja (?P<words>[a-z][^`'\"\n]*)")
# What these modules spell are options of git, and parameters of the tools that agents call.
_OF_OTHERS = {SOURCE / "delivery" / "git.py", *(SOURCE / "agents").glob("*.py")}
_THEIRS = re.compile(
    r"(?:\b(?:claude|embedding-atlas|python|pip|ray|sha256sum|tensorboard)|\$\(DOCKER\)) [^`\n]*"
)


class Text(NamedTuple):
    """A text of the package; docstrings and comments are for readers of the code."""

    place: str
    text: str
    is_for_readers: bool = False
    is_shown_by_the_command_line: bool = False


@cache
def texts() -> list[Text]:
    """Every text of the package: of its modules, its data and its templates."""
    found = []
    for path in sorted(set(SOURCE.rglob("*.py")) - _OF_OTHERS):
        name = path.relative_to(SOURCE)
        for line, text, is_docstring in strings(path):
            found.append(Text(f"{name}:{line}", text, is_docstring, name.parts[0] == "cli"))
    for kind in ("*.toml", "*.jinja"):
        for path in sorted(SOURCE.rglob(kind)):
            for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                is_comment = text.startswith(("#", "{#"))
                found.append(Text(f"{path.relative_to(SOURCE)}:{line}", text, is_comment))
    return found


def strings(path: Path) -> list[tuple[int, str, bool]]:
    """The texts of a module: line, what it says, and whether it is a docstring."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    statements = {id(n.value) for n in nodes if isinstance(n, ast.Expr)}
    parts = {id(p) for n in nodes if isinstance(n, ast.JoinedStr) for p in n.values}
    found = []
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            spelled = [p.value if isinstance(p, ast.Constant) else "'X'" for p in node.values]
            found.append((node.lineno, "".join(map(str, spelled)), False))
        if isinstance(node, ast.Constant) and id(node) not in parts and type(node.value) is str:
            found.append((node.lineno, node.value, id(node) in statements))
    return found


@cache
def options(command: Any) -> set[str]:
    """The options of a command and of those below it."""
    own = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
    return own.union(*map(options, getattr(command, "commands", {}).values()))


def unknown_flags(text: str) -> set[str]:
    """The flags in a text that the command has not, or no command where none is named.

    Options of other programs pass where the text has a command line of theirs with them.
    """
    theirs = {flag for line in _THEIRS.findall(text) for flag in _FLAG.findall(line)}
    wrong = set(_FLAG.findall(text)) - options(COMMANDS) - theirs
    for line in _OURS.finditer(text):
        words = re.split(r"\s*(?:\||;|&&)\s*", line["words"])[0]
        own = options(command_named(COMMANDS, words.split()))
        wrong |= set(_FLAG.findall(words)) - own
    return wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("pass --max-pixels to raise it", {"--max-pixels"}),
        ("leave --labels out", set()),
        ("'pareja pack X --labels a'", {"--labels"}),
        ("pareja models fetch X --json", set()),
        ("`python tool.py --speed`, where `--speed` measures", set()),
    ],
)
def test_options_that_do_not_exist_are_noticed(text: str, wrong: set[str]) -> None:
    assert unknown_flags(text) == wrong


def test_messages_of_the_library_name_no_flags() -> None:
    assert [
        (place, text)
        for place, text, is_for_readers, is_shown_by_the_command_line in texts()
        if not is_for_readers and not is_shown_by_the_command_line
        if _FLAG.search(_THEIRS.sub("", _OURS.sub("", text)))
    ] == []


def test_every_flag_that_the_package_names_exists() -> None:
    assert {t.place: wrong for t in texts() if (wrong := unknown_flags(t.text))} == {}


def test_every_parameter_that_a_message_names_becomes_a_flag() -> None:
    marks = [
        (text.place, mark)
        for text in texts()
        if not text.is_for_readers
        for mark in PARAMETER.finditer(text.text)
    ]
    assert len(marks) > 20
    for place, mark in marks:
        printed = {with_flags(mark[0], command) for command in COMMANDS.commands.values()}
        flags = [words for words in printed if words.startswith("--")]
        assert flags, f"{place}: {mark[0]} is no parameter of any command"
        assert {words.split()[0] for words in flags} <= options(COMMANDS)


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))])
def test_every_flag_that_a_page_names_exists(page: Path) -> None:
    assert unknown_flags(page.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    ("command", "message", "printed"),
    [
        ("compare", "pass `truth='category'`.", "pass --truth category."),
        ("compare", "with `models` or `templates`", "with --model or --template"),
        ("fewshot", "`shots=[1]` or `shots=[1, 2]`", "--shots 1 or --shots 1,2"),
        ("fewshot", "choose `method='linear-probe'`", "choose --method linear-probe"),
        ("classify", "`unknown=True`, `labels='a cat'`", "--unknown, --labels 'a cat'"),
        ("pack", "pass `truth='category'` or `k`", "pass truth='category' or k"),
        ("pack", "the file `force=of a user`", "the file `force=of a user`"),
        ("models fetch", "`name` and `as_json`", "name and --json"),
    ],
)
def test_parameters_become_flags_of_the_command(command: str, message: str, printed: str) -> None:
    assert with_flags(message, command_named(COMMANDS, command.split())) == printed


def test_an_error_carries_the_parameter_that_it_names_first() -> None:
    assert LabelError("pass `truth='category'` or `labels`").parameter == "truth"
    assert LabelError("no labels").parameter is None


def test_python_shows_the_parameter_and_the_command_line_its_flag(
    pareja: Pareja, tmp_path: Path
) -> None:
    occupied = tmp_path / "set.zip"
    occupied.touch()
    with pytest.raises(OutputError) as exists:
        library.pack("pareja20", occupied)
    assert exists.value.parameter == "force"
    run = pareja("pack", "pareja20", "-o", occupied)
    assert (run.status, run.out) == (1, "")
    assert "Pass --force to replace it" in run.err


def commands(command: Any) -> Iterator[Any]:
    yield command
    for below in getattr(command, "commands", {}).values():
        yield from commands(below)


def test_the_terminal_breaks_the_lines_of_help() -> None:
    for command in commands(COMMANDS):
        for paragraph in command.help.split("\n\n"):
            assert "\n" not in paragraph, command.name
