#!/usr/bin/env bash
# usearch 2.26.6: where fewer vectors are found than were asked for, a batch is filled up with key 0, which is a key.
#
# One would expect: index.search(queries, 5) in an index of three gives three keys for each query, as it does for one query;
#   or a mark that is no key, as the -1 of faiss and the error of hnswlib.
# What happens: the array of keys has five columns, and the last two hold 0, the key of the first picture. The distances there
#   are NaN; `counts` alone says how many are real. The same with exact=True.
# Who is hurt: whoever embeds many queries at once and takes batch.keys: recall at k, fused rankings and pages of results hold
#   picture 0 again and again, and one vote of k is enough to make it a neighbour of everything.
# Where: usearch/index.py, Index.search, and python/lib.cpp, where the arrays are filled. sentence-transformers met it
#   in its own search (huggingface/sentence-transformers#3956). pareja asks by one query,
#   and for no more than there are.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check usearch==2.26.6 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import numpy as np
from usearch.index import Index

pictures = np.eye(3, dtype=np.float32)
index = Index(ndim=3, metric="cos", dtype="f32")
index.add(np.array([0, 1, 2]), pictures)
query = np.array([0.1, 0.9, 0.5], dtype=np.float32)
for exact in (False, True):
    alone = index.search(query, 5, exact=exact)
    batch = index.search(np.stack([query, query]), 5, exact=exact)
    print(f"exact {exact}, one query: {alone.keys.tolist()}")
    print(f"exact {exact}, two queries: {len(batch.keys[0])} keys each, no distance for {np.isnan(batch.distances[0]).sum()}")
    print(f"exact {exact}, what those keys say: {batch.keys[0][3:].tolist()}, counts {batch.counts.tolist()}")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="exact False, one query: [1, 2, 0]
exact False, two queries: 5 keys each, no distance for 2
exact False, what those keys say: [0, 0], counts [3, 3]
exact True, one query: [1, 2, 0]
exact True, two queries: 5 keys each, no distance for 2
exact True, what those keys say: [0, 0], counts [3, 3]"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
