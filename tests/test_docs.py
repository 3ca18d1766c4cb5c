"""The documentation says what is there: generated pages, links, commands, snippets."""

from __future__ import annotations

import contextlib
import doctest
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

import pareja
from pareja.cli import build_app
from pareja.datasets.profiles import CODES, find_profile

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
GENERATOR = runpy.run_path(str(ROOT / "docs" / "generate.py"))
GENERATED: dict[Path, str] = GENERATOR["pages"]()

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)|(?:src|href)=\"([^\"]+)\"")
_OPERATORS = set("|&;<>()")


@dataclass(frozen=True)
class Snippet:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def snippets(*languages: str) -> list[Snippet]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in _FENCE.finditer(text):
            if block[1] in languages:
                line = text.count("\n", 0, block.start()) + 1
                found.append(Snippet(page, line, block[1], block[2]))
    return found


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def simple_commands(shell: str) -> Iterator[list[str]]:
    """Yield the commands of a piece of shell, without comments, pipes and redirections."""
    for line in shell.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        command: list[str] = []
        for word in lexer:
            if set(word) <= _OPERATORS:
                yield command
                command = []
            else:
                command.append(word)
        yield command


def commands_of(snippet: Snippet) -> Iterator[list[str]]:
    lines = snippet.text
    if snippet.language == "console":
        lines = "\n".join(re.findall(r"^\$ (.*)$", snippet.text, re.MULTILINE))
    for words in simple_commands(lines):
        while words and re.fullmatch(r"\w+=.*", words[0]):
            words = words[1:]
        if words:
            yield words


def parse(arguments: list[str]) -> None:
    """Parse a command line as ``pareja`` would, and run nothing."""
    command: Any = typer.main.get_command(build_app())
    name = "pareja"
    while getattr(command, "commands", None) and arguments and arguments[0] in command.commands:
        name, command, arguments = arguments[0], command.commands[arguments[0]], arguments[1:]
    if getattr(command, "commands", None) and arguments and not arguments[0].startswith("-"):
        raise ValueError(f"{name} has no command {arguments[0]!r}")
    # --help and --version end the parsing so.
    with contextlib.suppress(typer.Exit):
        command.make_context(name, list(arguments))


@pytest.mark.parametrize("path", GENERATED, ids=relative)
def test_generated_pages_are_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == GENERATED[path], "run: make docs"


def test_every_module_is_in_the_tree_and_nothing_else() -> None:
    tree = GENERATOR["package_tree"]()
    named = re.findall(r"^ +(\S+\.py) ", tree, re.MULTILINE)
    modules = [p.name for p in (ROOT / "src" / "pareja").rglob("*.py") if p.name != "__init__.py"]
    assert sorted([*modules, "__init__.py"]) == sorted(named)
    assert all(re.search(r" {2,}\S+ +\w", line) for line in tree.splitlines()[1:])


def test_the_table_of_layers_is_in_their_order() -> None:
    layers = runpy.run_path(str(ROOT / "tests" / "test_architecture.py"))["LAYERS"]
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = text.partition("## Layers")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == layers


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_and_images_lead_somewhere(page: Path) -> None:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    wrong = []
    for found in _LINK.finditer(text):
        target, _, anchor = (found[1] or found[2]).partition("#")
        if re.match(r"\w+:", target):
            continue
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            wrong.append(found[0])
    assert not wrong


@pytest.mark.parametrize("snippet", snippets("sh", "console"), ids=str)
def test_commands_exist_with_their_options(snippet: Snippet) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for words in commands_of(snippet):
        if words[0] == "pareja":
            parse(words[1:])
        elif words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= set(targets)
        elif words[0] == "python":
            assert (ROOT / words[1]).is_file()


@pytest.mark.parametrize("arguments", ["nothing", "check", "study x --nothing", "models nothing"])
def test_commands_that_do_not_exist_are_noticed(arguments: str) -> None:
    with pytest.raises(Exception, match=r"nothing|dataset"):
        parse(arguments.split())


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with the user's settings and caches in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.mark.parametrize("snippet", snippets("console"), ids=str)
def test_commands_print_what_is_shown(snippet: Snippet, elsewhere: Path) -> None:
    for block in re.split(r"^\$ ", snippet.text, flags=re.MULTILINE)[1:]:
        line, _, shown = block.partition("\n")
        command = [sys.executable, "-m", *shlex.split(line)]
        run = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert same(shown, run.stdout), run.stdout


def same(wanted: str, got: str) -> bool:
    """Compare outputs; ``...`` stands for anything."""
    return doctest.OutputChecker().check_output(wanted, got, doctest.ELLIPSIS)


PAGES_WITH_PYTHON = sorted({snippet.page for snippet in snippets("python")})


@pytest.mark.parametrize("page", PAGES_WITH_PYTHON, ids=relative)
def test_python_snippets_run(page: Path, elsewhere: Path) -> None:
    """The snippets of one page are one session, as they are read."""
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    printed: list[str] = []
    written: Callable[[str], Any] = printed.append
    names: dict[str, Any] = {}
    for snippet in snippets("python"):
        if snippet.page == page:
            test = parser.get_doctest(snippet.text, names, str(snippet), str(page), snippet.line)
            assert test.examples, f"{snippet}: write it as an interactive session, with >>>"
            runner.run(test, out=written, clear_globs=False)
            names = test.globs
    assert runner.summarize(verbose=False).failed == 0, "".join(printed)


def test_the_results_on_pareja20_are_those_of_a_study() -> None:
    # Permutations give the p alone, which these sentences do not tell.
    result = pareja.study("pareja20", ["starter-unaligned", "starter"], permutations=9)
    pair, dual = result.encoders
    spanish = [
        re.sub(r"(\d)\.(\d)", r"\1,\2", f"{told}".replace("-", "−").replace(", ", "; "))
        for told in (
            next(b for b in pair.bridges if b.name == "random_projection").matching.auc,
            next(b for b in pair.bridges if b.name == "ridge").matching.auc,
            result.comparisons[0].matched_spearman,
        )
    ]
    course = " ".join((ROOT / "docs" / "curso.md").read_text(encoding="utf-8").split())
    forced, bridged, rho = spanish
    assert f"un AUC de {forced} y el puente ridge, {bridged}" in course
    assert f"entre `starter-unaligned` y `starter`, ρ = {rho}" in course
    captions, pictures = (
        round(20 * one.recall[1].value) for one in (dual.image_to_text, dual.text_to_image)
    )
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"the right caption for {captions} and the right picture for {pictures};" in readme


def test_the_table_of_problems_is_that_of_the_profiles() -> None:
    text = (ROOT / "docs" / "guides" / "datasets.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(\w+)` \| (\w+) \| (\w+) \|", text, re.MULTILINE)
    course = find_profile("course")
    assert table == [(code, CODES[code], course.severity(code)) for code in CODES]


def test_the_picture_of_the_readme_is_small_enough_to_load_at_once() -> None:
    picture = ROOT / "docs" / "images" / "report.webp"
    assert picture.stat().st_size < 300_000
