#!/usr/bin/env bash
# faiss-cpu 1.15.1: "PCA..." in front of an index of inner products finds other neighbours, though it drops nothing.
#
# One would expect: index_factory(64, "PCA64,Flat", METRIC_INNER_PRODUCT) on vectors of 64 numbers turns the axes and keeps
#   all of them: exact search, as "Flat" and "RR64,Flat" (a random rotation), and as it is with METRIC_L2.
# What happens: the PCA takes off the mean of the training vectors, from pictures and from queries alike. Distances do not
#   change by that. Inner products do: each picture loses its own product with the mean, so pictures that are like the
#   others sink. Of the ten nearest, fewer than eight in ten are found, and no error or warning tells.
# Who is hurt: whoever makes CLIP's or SigLIP's vectors smaller with PCA and searches by cosine, as inner products of vectors
#   of length 1. Pictures share a direction, texts another, so the mean is large and the harm is too.
# Where: faiss/VectorTransform.cpp, PCAMatrix::prepare_Ab (b = -A mean), used by IndexPreTransform whatever the metric. Open
#   since 2022 as facebookresearch/faiss#2636. METRIC_L2 on vectors of length 1 has the same order and is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check faiss-cpu==1.15.1 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import faiss
import numpy as np

numbers = np.random.default_rng(0)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


# Pictures and texts as CLIP has them: each kind around a direction of its own, and few strong axes.
axes = np.linspace(2, 0.2, 64)
shown = numbers.normal(size=(3_000, 64)) * axes
pictures = unit(shown + 1.5 * numbers.normal(size=64))
texts = unit(shown[:200] + numbers.normal(size=(200, 64)) + 1.5 * numbers.normal(size=64))
nearest = np.argsort(-texts @ pictures.T, axis=1)[:, :10]
for metric in ("METRIC_L2", "METRIC_INNER_PRODUCT"):
    for recipe in ("Flat", "RR64,Flat", "PCA64,Flat", "PCAR64,Flat"):
        index = faiss.index_factory(64, recipe, getattr(faiss, metric))
        index.train(pictures)
        index.add(pictures)
        _, found = index.search(texts, 10)
        recall = np.mean([len(set(mine) & set(right)) / 10 for mine, right in zip(found, nearest)])
        level = "above 0.99" if recall > 0.99 else "below 0.8" if recall < 0.8 else f"{recall:.2f}"
        print(f"{recipe} with {metric}: recall {level}")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="Flat with METRIC_L2: recall above 0.99
RR64,Flat with METRIC_L2: recall above 0.99
PCA64,Flat with METRIC_L2: recall above 0.99
PCAR64,Flat with METRIC_L2: recall above 0.99
Flat with METRIC_INNER_PRODUCT: recall above 0.99
RR64,Flat with METRIC_INNER_PRODUCT: recall above 0.99
PCA64,Flat with METRIC_INNER_PRODUCT: recall below 0.8
PCAR64,Flat with METRIC_INNER_PRODUCT: recall below 0.8"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
