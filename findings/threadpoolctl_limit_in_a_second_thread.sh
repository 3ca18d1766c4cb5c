#!/usr/bin/env bash
# threadpoolctl 3.8.0 with NumPy's OpenBLAS: a limit set in a second thread does nothing, without a word.
#
# One would expect: `with threadpool_limits(1, user_api="blas")` holds BLAS to one thread inside the block, in
#   whichever Python thread it stands; that is what it did up to 3.6.
# What happens: the first Python thread that ever sets OpenBLAS becomes its "controlling thread"; while it lives, the
#   same call in any other thread returns at once and changes nothing. No error, no warning, no return value tells.
# Who is hurt: servers and pipelines that embed texts or compare vectors in worker threads: the main thread set
#   a limit once (a library did so at import, say), and from then on no worker's limit holds. On a busy machine,
#   many small products with all BLAS threads take several times as long.
# Where: threadpoolctl.py, OpenBLASController.set_num_threads.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check threadpoolctl==3.8.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import threading

import numpy  # loads OpenBLAS
from threadpoolctl import ThreadpoolController, threadpool_limits

blas = ThreadpoolController().select(user_api="blas")
threads = lambda: [library["num_threads"] for library in blas.info()]

with threadpool_limits(2, user_api="blas"):
    print("main thread, limit 2:", threads())

def work() -> None:
    with threadpool_limits(1, user_api="blas"):
        print("second thread, limit 1:", threads())

with threadpool_limits(2, user_api="blas"):
    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    with threadpool_limits(1, user_api="blas"):
        print("main thread, limit 1:", threads())
PY
seen=$("$folder/venv/bin/python" "$folder/show.py")
echo "$seen"
expected='main thread, limit 2: [2]
second thread, limit 1: [2]
main thread, limit 1: [1]'
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
