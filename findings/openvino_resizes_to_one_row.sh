#!/usr/bin/env bash
# OpenVINO 2026.4.1 with torch 2.13.0: a converted network that resizes to one row, or to one column, takes the first one.
#
# One would expect: openvino.convert_model keeps what F.interpolate does. Torch takes one row of four from the middle: of 0 to
#   15 in four rows, bilinear, that is 6, 7, 8, 9.
# What happens: the converted network gives 0, 1, 2, 3, the first row. Bilinear and bicubic, without antialias; every other
#   size is right. Nothing is said when it is converted or run.
# Who is hurt: whoever runs CLIP with interpolate_pos_encoding=True on OpenVINO: a picture that is one patch high or wide (a
#   line of a text, a strip of film) gets the positions of the upper or left edge, and another embedding than in torch.
#   Networks that pool by resizing to 1 x 1 read one corner.
# Where: src/frontends/pytorch/src/op/upsample.cpp sets the mode pytorch_half_pixel, whose rule for a length of 1 torch
#   does not have (onnx/onnx#4276 says the same of ONNX, and torch's own exporter has left it).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    openvino==2026.4.1 torch==2.13.0 transformers==5.23.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import numpy as np
import openvino
import torch
import transformers


class Resize(torch.nn.Module):
    def __init__(self, shape, mode):
        super().__init__()
        self.settings = dict(size=shape, mode=mode)

    def forward(self, picture):
        return torch.nn.functional.interpolate(picture, **self.settings)


class Pictures(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, pixels):
        return self.network(pixel_values=pixels, interpolate_pos_encoding=True).pooler_output


def converted(module, example):
    model = openvino.convert_model(module, example_input=example)
    run = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return run(example.numpy())[0]


grid = torch.arange(16.0).reshape(1, 1, 4, 4)
for mode in ("bilinear", "bicubic"):
    for shape in ((2, 2), (1, 4), (1, 1)):
        resize = Resize(shape, mode)
        with torch.no_grad():
            right = resize(grid).flatten().tolist()
        mine = converted(resize, grid).flatten().tolist()
        print(f"{mode} to {shape}:", "the same" if np.allclose(right, mine, atol=1e-3) else f"torch {right}, OpenVINO {mine}")

torch.manual_seed(0)
config = transformers.CLIPVisionConfig(
    hidden_size=32, intermediate_size=64, num_attention_heads=2, num_hidden_layers=2, image_size=64, patch_size=8,
)
network = transformers.CLIPVisionModel(config).eval()
torch.nn.init.normal_(next(each for name, each in network.named_parameters() if "position" in name))
for name, pixels in (("16 x 128", torch.rand(1, 3, 16, 128)), ("8 x 128", torch.rand(1, 3, 8, 128))):
    pictures = Pictures(network).eval()
    with torch.no_grad():
        right = pictures(pixels)
    cosine = torch.cosine_similarity(right, torch.from_numpy(converted(pictures, pixels))).item()
    print(f"CLIP on a picture of {name}:", "the same embedding" if cosine > 0.9999 else "another embedding")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="bilinear to (2, 2): the same
bilinear to (1, 4): torch [6.0, 7.0, 8.0, 9.0], OpenVINO [0.0, 1.0, 2.0, 3.0]
bilinear to (1, 1): torch [7.5], OpenVINO [0.0]
bicubic to (2, 2): the same
bicubic to (1, 4): torch [6.0, 7.0, 8.0, 9.0], OpenVINO [0.0, 1.0, 2.0, 3.0]
bicubic to (1, 1): torch [7.5], OpenVINO [0.0]
CLIP on a picture of 16 x 128: the same embedding
CLIP on a picture of 8 x 128: another embedding"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
