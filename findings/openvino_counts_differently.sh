#!/usr/bin/env bash
# OpenVINO 2026.4.1 with torch 2.13.0: four plain operations give other numbers in the converted network.
#
# One would expect: openvino.convert_model keeps the numbers of torch up to rounding, or refuses what it cannot convert.
# What happens, without a word when the network is converted or run:
#   - cumsum of booleans stays boolean: positions 1, 2, 3 counted from a mask of tokens are all 1;
#   - whole numbers divided by // are cut towards zero, so -7 // 3 is -2 (openvinotoolkit/openvino#38248, open);
#   - logsigmoid is minus infinity below about -88, where torch gives the number itself;
#   - avg_pool2d with padding and ceil_mode=True divides by the whole window at the border, where torch leaves out what is
#     beyond the padding.
# Who is hurt: whoever exports an encoder of pictures or texts that counts its tokens by a mask, places them by signed offsets, or
#   pools with a border: embeddings are other ones than in training, and searches mix the two spaces.
# Where: src/frontends/pytorch/src/op/cumsum.cpp, floor_divide.cpp, log.cpp and avg_poolnd.cpp, and the CPU plugin's Divide.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    openvino==2026.4.1 torch==2.13.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import openvino
import torch


class Of(torch.nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, numbers):
        return self.call(numbers)


def converted(call, example):
    model = openvino.convert_model(Of(call), example_input=example)
    run = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return run(example.numpy())[0].flatten().tolist()


tokens = torch.tensor([[5, 6, 7, 0]])
offsets = torch.tensor([-7, -1, 7])
logits = torch.tensor([-100.0, -50.0])
board = torch.ones(1, 1, 4, 4)
calls = {
    "(tokens != 0).cumsum(-1)": (lambda t: (t != 0).cumsum(-1), tokens),
    "(tokens != 0).int().cumsum(-1)": (lambda t: (t != 0).int().cumsum(-1), tokens),
    "offsets // 3": (lambda t: t // 3, offsets),
    "offsets.float() // 3": (lambda t: t.float() // 3, offsets),
    "logsigmoid(logits)": (lambda t: torch.nn.functional.logsigmoid(t), logits),
    "avg_pool2d(ones, 3, 2, 1, ceil_mode=True), its corner": (
        lambda t: torch.nn.functional.avg_pool2d(t, 3, 2, 1, ceil_mode=True)[..., -1, -1], board,
    ),
}
for name, (call, example) in calls.items():
    ways = [[round(each, 3) for each in way] for way in (call(example).flatten().tolist(), converted(call, example))]
    print(f"{name}: torch {ways[0]}, OpenVINO {ways[1]}")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="(tokens != 0).cumsum(-1): torch [1, 2, 3, 3], OpenVINO [1, 1, 1, 1]
(tokens != 0).int().cumsum(-1): torch [1, 2, 3, 3], OpenVINO [1, 2, 3, 3]
offsets // 3: torch [-3, -1, 2], OpenVINO [-2, 0, 2]
offsets.float() // 3: torch [-3.0, -1.0, 2.0], OpenVINO [-3.0, -1.0, 2.0]
logsigmoid(logits): torch [-100.0, -50.0], OpenVINO [-inf, -50.0]
avg_pool2d(ones, 3, 2, 1, ceil_mode=True), its corner: torch [0.25], OpenVINO [0.111]"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
