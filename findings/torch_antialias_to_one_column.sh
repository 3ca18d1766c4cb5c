#!/usr/bin/env bash
# torch 2.13.0, with SigLIP 2 NaFlex of transformers 5.23.0: resizing with antialias=True to one column repeats its first number.
#
# One would expect: F.interpolate(x, (4, 1), mode="bilinear", antialias=True) shrinks a column as it shrinks a row.
# What happens: on the CPU, in float32 and float64, bilinear and bicubic, the weights of the first output are used for
#   all of them: every number of the column is the first. One row (1, 4) is right, and so is antialias=False. No error.
# Who is hurt: networks that resize their position embeddings to the shape of a picture. NaFlex sees a picture that is one
#   patch wide (a scanned scroll, a chat log, a strip of film) with the same position everywhere: turned
#   upside down, its embedding stays the same. Lying on its side, the same strip is seen rightly.
# Where: aten/src/ATen/native/cpu/UpSampleKernel.cpp, where a width of 1 makes the loop over rows look like one over
#   columns; models/siglip2/modeling_siglip2.py, resize_positional_embeddings. pareja computes these weights itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import torch
import transformers
from torch.nn.functional import interpolate

column = torch.arange(16.0).reshape(1, 1, 16, 1)
for name, numbers in (
    ("a column", interpolate(column, (4, 1), mode="bilinear", antialias=True)),
    ("a row", interpolate(column.mT, (1, 4), mode="bilinear", antialias=True)),
):
    print(name, "of 0 to 15, resized to 4:", [round(each, 1) for each in numbers.flatten().tolist()])

torch.manual_seed(0)
config = transformers.Siglip2VisionConfig(
    hidden_size=32, intermediate_size=64, num_attention_heads=2, num_hidden_layers=2, num_patches=256, patch_size=16,
)
network = transformers.Siglip2VisionModel(config).eval()
torch.nn.init.normal_(network.get_parameter(next(n for n, _ in network.named_parameters() if "position" in n)))
strip = torch.rand(1, 128, 16 * 16 * 3)  # its patches in order
seen = torch.ones(1, 128, dtype=torch.int32)
for name, shape in (("one column", (128, 1)), ("one row", (1, 128))):
    with torch.no_grad():
        ways = [
            network(pixel_values=patches, pixel_attention_mask=seen, spatial_shapes=torch.tensor([shape])).pooler_output
            for patches in (strip, strip.flip(1))
        ]
    same = torch.cosine_similarity(*ways).item() > 0.99999
    print(name, "of 128 patches: in reverse order", "the same embedding" if same else "another embedding")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="a column of 0 to 15, resized to 4: [1.9, 1.9, 1.9, 1.9]
a row of 0 to 15, resized to 4: [1.9, 5.5, 9.5, 13.1]
one column of 128 patches: in reverse order the same embedding
one row of 128 patches: in reverse order another embedding"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
