"""What a query waits for when nothing is loaded yet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Pareja

SEARCH = """
import sys
from pareja.cli import main
sys.argv = ["pareja", "search", "something red", "--index", "index"]
try:
    main()
except SystemExit as stop:
    assert stop.code == 0
print(*sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def test_words_are_searched_without_torch_and_scipy(
    pareja_process: Pareja, colour_folder: Path, tmp_path: Path
) -> None:
    assert pareja_process("index", colour_folder, "--index", "index").status == 0
    run = subprocess.run(
        [sys.executable, "-c", SEARCH], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert "red" in run.stdout
    loaded = set(run.stderr.splitlines()[-1].split())
    assert {"pareja", "numpy"} <= loaded
    assert not loaded & {"torch", "scipy", "transformers", "matplotlib", "openvino"}
