#!/usr/bin/env bash
# torchmetrics 1.9.0: BinaryAUROC of the same cosines depends on the batches that they come in.
#
# One would expect: a metric that is updated batch by batch gives what it gives for all scores at once; that is what its
#   update() is for. AUROC and average precision go by the order of the scores.
# What happens: each update looks whether its own scores are all between 0 and 1. If one is not, all scores of that batch go
#   through a sigmoid, which the documentation says; but batches without a negative cosine are kept as they are. The two
#   kinds are then compared with each other: a cosine of -0.02 (0.495 behind the sigmoid) ranks above one of 0.30.
# Who is hurt: whoever measures whether cosines tell fitting captions from others, as with CLIP and SigLIP, whose cosines
#   lie between -0.1 and 0.4: some batches have a negative one, some have not. The result is wrong, and changes with the
#   batch size and the order. No warning.
# Where: torchmetrics/functional/classification/precision_recall_curve.py, _binary_precision_recall_curve_format
#   (normalize_logits_if_needed), which each update calls.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import torch
from torchmetrics.classification import BinaryAUROC, BinaryAveragePrecision

cosines = torch.tensor([0.30, 0.25, 0.05, 0.20, 0.10, 0.28, -0.02, 0.22])
fitting = torch.tensor([1, 1, 0, 1, 0, 1, 0, 0])
for measure in (BinaryAUROC, BinaryAveragePrecision):
    for size in (8, 4):
        metric = measure()
        for batch in zip(cosines.split(size), fitting.split(size), strict=True):
            metric.update(*batch)
        print(f"{measure.__name__}, {8 // size} batch(es): {metric.compute().item():.4f}")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="BinaryAUROC, 1 batch(es): 0.9375
BinaryAUROC, 2 batch(es): 0.4375
BinaryAveragePrecision, 1 batch(es): 0.9500
BinaryAveragePrecision, 2 batch(es): 0.6179"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
