#!/usr/bin/env bash
# txtai 9.14.0: a search gives no picture whose cosine with the text is zero or less, however many were asked for.
#
# One would expect: embeddings.search(text, 4) gives the four nearest of an index of four, with their scores, as batchsimilarity does and
#   as faiss does, which is behind it.
# What happens: what the index found with a score that is not above zero is thrown away, with every backend. Of the cosines 0.2,
#   0.1, -0.1 and -0.3 two come back. If all are below zero, the answer is empty, as if nothing were stored. Fewer
#   results than asked for are given without a word.
# Who is hurt: whoever searches pictures by text with SigLIP, where even fitting pairs may have a cosine near zero, or centres
#   vectors, or looks for the least alike: searches of rare things come back empty, and recall has a ceiling.
# Where: txtai/embeddings/search/base.py, Search.dense ("Require scores to be greater than 0").
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    txtai==9.14.0 torch==2.13.0 transformers==5.23.0 faiss-cpu==1.15.1 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import numpy as np
from txtai import Embeddings

# The first number of each vector is its cosine with the query.
cosines = {"near": 0.2, "aside": 0.1, "back": -0.1, "away": -0.3}
vectors = {name: [cosine, (1 - cosine**2) ** 0.5] for name, cosine in cosines.items()}
vectors |= {"a query": [1.0, 0.0], "another": [-0.6, -0.8]}


def embed(texts):
    return np.array([vectors[text] for text in texts], dtype=np.float32)


for backend in ("numpy", "faiss"):
    index = Embeddings(method="external", transform=embed, backend=backend)
    index.index([(name, name, None) for name in cosines])
    for query in ("a query", "another"):
        found = [(name, round(score, 1)) for name, score in index.search(query, 4)]
        there = sorted((round(score, 1) for _, score in index.similarity(query, list(cosines))), reverse=True)
        print(f"{backend}, {query}: {found} of {there}")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="numpy, a query: [('near', 0.2), ('aside', 0.1)] of [0.2, 0.1, -0.1, -0.3]
numpy, another: [] of [-0.6, -0.7, -0.9, -0.9]
faiss, a query: [('near', 0.2), ('aside', 0.1)] of [0.2, 0.1, -0.1, -0.3]
faiss, another: [] of [-0.6, -0.7, -0.9, -0.9]"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
