#!/usr/bin/env bash
# usearch 2.26.6: with dtype="i8", an index of inner products or of L2 distances finds neighbours by the cosine.
#
# One would expect: Index(ndim=..., metric="ip", dtype="i8") finds what metric="ip" finds, a little less exactly, as "e4m3" and "e5m2" do,
#   which take as many bytes.
# What happens: vectors that are added or asked for as float32 are divided by their own length before they become bytes. Inner products
#   and L2 distances are then those of the directions alone. For vectors of different lengths, all three metrics give the
#   same neighbours, and the exact search as well. get() gives back vectors of length 1. No error, no warning.
# Who is hurt: whoever keeps the lengths on purpose, as for embeddings of captions before their division, for CLIP's logits,
#   recommendations, or a vector scaled by a weight, and takes bytes to save memory: recall at 10 of inner products is that
#   of another question.
# Where: include/usearch/index_plugins.hpp, cast_to_i8_gt; a comment there says that it supposes a distance by products, and
#   advises against it, and nothing says so where the index is made.
#   pareja keeps vectors of length 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check usearch==2.26.6 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import numpy as np
from usearch.index import Index

random = np.random.default_rng(0)
pictures = random.normal(size=(500, 64)).astype(np.float32)
pictures *= random.uniform(0.2, 3, size=(500, 1)).astype(np.float32)
queries = random.normal(size=(100, 64)).astype(np.float32)
lengths = np.linalg.norm(pictures, axis=1)
nearest = {
    "ip": np.argsort(-queries @ pictures.T, axis=1),
    "l2sq": np.argsort(lengths**2 - 2 * queries @ pictures.T, axis=1),
    "cos": np.argsort(-queries @ pictures.T / lengths, axis=1),
}
for metric in ("ip", "l2sq", "cos"):
    for dtype in ("f16", "e5m2", "i8"):
        index = Index(ndim=64, metric=metric, dtype=dtype)
        index.add(np.arange(500), pictures)
        found = index.search(queries, 10, exact=True).keys
        parts = [
            np.mean([len(set(mine) & set(right)) / 10 for mine, right in zip(found, nearest[by][:, :10])])
            for by in (metric, "cos")
        ]
        told = ["most" if part > 0.8 else "few" if part < 0.6 else "some" for part in parts]
        print(f"{dtype}, {metric}: {told[0]} of its ten nearest, {told[1]} of the ten nearest by cosine")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="f16, ip: most of its ten nearest, few of the ten nearest by cosine
e5m2, ip: most of its ten nearest, few of the ten nearest by cosine
i8, ip: few of its ten nearest, most of the ten nearest by cosine
f16, l2sq: most of its ten nearest, few of the ten nearest by cosine
e5m2, l2sq: most of its ten nearest, few of the ten nearest by cosine
i8, l2sq: few of its ten nearest, most of the ten nearest by cosine
f16, cos: most of its ten nearest, most of the ten nearest by cosine
e5m2, cos: most of its ten nearest, most of the ten nearest by cosine
i8, cos: most of its ten nearest, most of the ten nearest by cosine"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
