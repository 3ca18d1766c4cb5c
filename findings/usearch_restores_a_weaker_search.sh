#!/usr/bin/env bash
# usearch 2.26.6: an index that was saved finds half as much after Index.restore, because it forgot how it searches.
#
# One would expect: Index.restore(path) makes the index that was saved, as its name says: same neighbours for the same query.
# What happens: metric, type and connectivity are in the file; expansion_search is not, and restore sets it to 64 whatever
#   it was. With expansion_search=512, 20,000 random vectors of 128 numbers and their ten nearest, the recall
#   falls from above 0.9 to below 0.6. The same with view=True. index.copy() keeps it. No warning.
# Who is hurt: whoever tunes a search for recall where the index is made and restores it in the server: the answers are
#   those of an index that nobody has measured. restore(path, expansion_search=512) brings them back, for those who know.
# Where: usearch/index.py, Index.restore, and the head of the file, which has no place for it. pareja sets the number
#   before each search.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check usearch==2.26.6 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import sys

import numpy as np
from usearch.index import Index

numbers = np.random.default_rng(0)
vectors = numbers.normal(size=(20_000, 128)).astype(np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
queries = numbers.normal(size=(200, 128)).astype(np.float32)
nearest = np.argsort(-queries @ vectors.T, axis=1)[:, :10]


def show(name, index):
    found = index.search(queries, 10).keys
    recall = np.mean([len(set(mine) & set(right)) / 10 for mine, right in zip(found, nearest)])
    level = "above 0.9" if recall > 0.9 else "below 0.6" if recall < 0.6 else f"{recall:.2f}"
    print(f"{name}: expansion_search {index.expansion_search}, recall {level}")


made = Index(ndim=128, metric="cos", dtype="f32", expansion_search=512)
made.add(np.arange(len(vectors)), vectors)
made.save(sys.argv[1])
show("as made", made)
restored = Index.restore(sys.argv[1])
show("restored", restored)
restored.expansion_search = 512
show("restored and set again", restored)
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" "$folder/index.usearch" 2>/dev/null)
echo "$seen"
expected="as made: expansion_search 512, recall above 0.9
restored: expansion_search 64, recall below 0.6
restored and set again: expansion_search 512, recall above 0.9"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
