#!/usr/bin/env bash
# ir_measures 0.4.3 with pytrec-eval-terrier 0.5.11: RR@1 and Success@1, which are one measure, are 1 and 0 for the same run.
#
# One would expect: calc_aggregate([RR@1, RR@10, Success@1, P@1], ...) ranks a run once, and measures that ranking.
# What happens: each measure is passed to the package that knows it. RR with a cutoff goes to MS MARCO's script, which puts the lower
#   name first where scores are equal; RR without one and all the others go to trec_eval, which puts the higher name first,
#   and which takes scores as float32: 0.300000001 and 0.3 are equal to it. RR@1 is then 1 and Success@1 is 0, or the other
#   way round, and RR@10 differs from RR, though nothing stands below the tenth place. No error, no warning.
# Who is hurt: whoever reports recall and MRR of image-text retrieval side by side. Duplicates among pictures have equal scores,
#   as have scores in float16, fused ranks and a classifier's probabilities near 0 and 1; which measure gains depends on
#   how the files are called.
# Where: ir_measures/providers/msmarco_provider.py (sorted by -score, name) and pytrec_eval_provider.py. Open since 2021 as
#   terrierteam/ir_measures#18. pareja's measures are expectations over the orders of ties.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    ir_measures==0.4.3 pytrec-eval-terrier==0.5.11 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import ir_measures
from ir_measures import AP, P, RR, Success

runs = {
    "equal scores": {"a.jpg": 0.3, "b.jpg": 0.3, "c.jpg": 0.1},
    "a.jpg higher by 1e-9": {"a.jpg": 0.3 + 1e-9, "b.jpg": 0.3, "c.jpg": 0.1},
}
for name, run in runs.items():
    for right in ("a.jpg", "b.jpg"):
        values = ir_measures.calc_aggregate([RR @ 1, RR @ 10, RR, Success @ 1, P @ 1, AP], {"q": {right: 1}}, {"q": run})
        print(f"{name}, {right} is right:", ", ".join(sorted(f"{measure} {value:.1f}" for measure, value in values.items())))
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="equal scores, a.jpg is right: AP 0.5, P@1 0.0, RR 0.5, RR@1 1.0, RR@10 1.0, Success@1 0.0
equal scores, b.jpg is right: AP 1.0, P@1 1.0, RR 1.0, RR@1 0.0, RR@10 0.5, Success@1 1.0
a.jpg higher by 1e-9, a.jpg is right: AP 0.5, P@1 0.0, RR 0.5, RR@1 1.0, RR@10 1.0, Success@1 0.0
a.jpg higher by 1e-9, b.jpg is right: AP 1.0, P@1 1.0, RR 1.0, RR@1 0.0, RR@10 0.5, Success@1 1.0"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
