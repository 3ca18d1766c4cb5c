#!/usr/bin/env bash
# torch 2.13.0: bfloat16 on a processor without instructions for it is many times slower than float32, without a word.
#
# One would expect: `torch.autocast("cpu", torch.bfloat16)`, which `torch.amp.is_autocast_available("cpu")` calls
#   available, costs at worst as much as float32: half the memory traffic, and sums in float32 anyway.
# What happens: on a processor with AVX2 and no AVX512, the patch embedding of a ViT (a convolution of 16x16 with
#   stride 16) takes 20 to 32 times as long, a linear layer of CLIP's size 5 to 7 times (five runs on an AMD EPYC). No
#   warning; the numbers are right, so only a clock tells.
# Who is hurt: people who take the snippet for a GPU to a laptop or a small server, and take CLIP to be that slow.
# Where: ATen asks oneDNN for bfloat16 only where the processor has the instructions (ONEDNN_VERBOSE=1 shows the
#   float32 calls and none in bfloat16); its own loops, which do the work then, are not blocked.
# A processor with AVX512 shows nothing of it, and the script says so.
set -euo pipefail
if grep -q avx512bw /proc/cpuinfo; then
  echo "this processor has AVX512: nothing is slow here"
  exit
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import time
from statistics import median

import torch

torch.set_num_threads(1)


def seconds(call):
    call()
    taken = []
    for _ in range(5):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return median(taken)


print("autocast is available on the cpu:", torch.amp.is_autocast_available("cpu"))
patches, pictures = torch.nn.Conv2d(3, 768, 16, 16), torch.randn(8, 3, 224, 224)
linear, tokens = torch.nn.Linear(768, 3072), torch.randn(400, 768)
with torch.inference_mode():
    for name, call in (
        ("patch embedding", lambda: patches(pictures)),
        ("linear layer", lambda: linear(tokens)),
    ):
        plain = seconds(call)
        with torch.autocast("cpu", torch.bfloat16):
            ratio = seconds(call) / plain
        print(f"{name}: bfloat16 takes {ratio:.1f} times as long as float32", flush=True)
        assert ratio > 2, "this has changed"
PY
"$folder/venv/bin/python" -W error "$folder/show.py"
