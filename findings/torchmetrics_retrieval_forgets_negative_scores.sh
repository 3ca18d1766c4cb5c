#!/usr/bin/env bash
# torchmetrics 1.9.0: what was found with a score of zero or less counts as not found, in some measures of retrieval.
#
# One would expect: measures of a ranking depend on the order of the scores. RetrievalRecall(top_k=1) of three pictures with
#   the cosines -0.3, -0.1 and -0.2, where the second is the right one, is 1.
# What happens: RetrievalMRR, RetrievalMAP, RetrievalRecall and RetrievalPrecision take a right document whose score is not above
#   zero for a wrong one, and give 0. RetrievalHitRate, RetrievalNormalizedDCG and RetrievalRPrecision go by the order
#   and give 1. Taking the same number from all scores changes the first and not the second. No error, no warning.
# Who is hurt: whoever measures image-text retrieval. Cosines of SigLIP's pairs lie around zero, its logits far below,
#   and distances are turned into scores by a minus: recall comes out too low, or 0, and differs from the hit rate,
#   which for one right document is the same measure.
# Where: torchmetrics/functional/retrieval/reciprocal_rank.py, average_precision.py, recall.py and precision.py
#   (target = torch.where(preds > 0, ...)). pareja's own measures go by ranks.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import torch
import torchmetrics.retrieval as retrieval

cosines = torch.tensor([-0.3, -0.1, -0.2])
right = torch.tensor([False, True, False])
query = torch.zeros(3, dtype=torch.long)
for name, options in (
    ("RetrievalRecall", {"top_k": 1}),
    ("RetrievalPrecision", {"top_k": 1}),
    ("RetrievalMRR", {}),
    ("RetrievalMAP", {}),
    ("RetrievalHitRate", {"top_k": 1}),
    ("RetrievalNormalizedDCG", {}),
    ("RetrievalRPrecision", {}),
):
    values = [getattr(retrieval, name)(**options)(cosines + more, right, indexes=query).item() for more in (0, 1)]
    print(f"{name}: {values[0]:.0f} by the cosines, {values[1]:.0f} by 1 more than the cosines")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="RetrievalRecall: 0 by the cosines, 1 by 1 more than the cosines
RetrievalPrecision: 0 by the cosines, 1 by 1 more than the cosines
RetrievalMRR: 0 by the cosines, 1 by 1 more than the cosines
RetrievalMAP: 0 by the cosines, 1 by 1 more than the cosines
RetrievalHitRate: 1 by the cosines, 1 by 1 more than the cosines
RetrievalNormalizedDCG: 1 by the cosines, 1 by 1 more than the cosines
RetrievalRPrecision: 1 by the cosines, 1 by 1 more than the cosines"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
