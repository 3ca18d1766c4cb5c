#!/usr/bin/env bash
# absl-py 2.5.1 (which tensorboard brings) with uvicorn 0.54.0: making a server's settings closes the program's stderr.
#
# One would expect: `uvicorn.Config(app)` sets up uvicorn's own loggers and leaves the streams of the program alone.
# What happens: uvicorn configures logging through logging.config.dictConfig, which closes every handler that there is.
#   absl put a handler on the root of all loggers when it was imported, and its handler closes its stream, unless that is
#   sys.stderr or sys.stdout at that moment. In a block that redirects stderr, the program's own stderr is neither, so
#   it is closed, and everything that is printed afterwards fails: "I/O operation on closed file".
# Who is hurt: tests (pytest and click replace stderr) and notebooks that show TensorBoard and start a server: thousands
#   of tests fail after the one that made the server, and nothing names absl or uvicorn. pareja.serve gives uvicorn
#   log_config=None.
# Where: absl/logging/__init__.py, PythonHandler.close; uvicorn/config.py, Config.configure_logging;
#   logging/config.py, _clearExistingHandlers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check absl-py==2.5.1 uvicorn==0.54.0 2>/dev/null
cat > "$folder/show.py" <<'PY'
import contextlib
import io
import sys
from pathlib import Path

errors = sys.stderr = Path(sys.argv[1]).open("w")  # as pytest, notebooks and daemons replace it

import absl.logging  # as `import tensorboard` does
import uvicorn


async def app(scope, receive, send):
    pass


for options in ({"log_config": None}, {}):
    with contextlib.redirect_stderr(io.StringIO()):
        uvicorn.Config(app, **options)
    print(options or "as it comes", "-> stderr is closed:", errors.closed)
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" "$folder/errors.txt")
echo "$seen"
expected="{'log_config': None} -> stderr is closed: False
as it comes -> stderr is closed: True"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
