#!/usr/bin/env bash
# peft 0.21.2 with SigLIP of transformers 5.23.0: target_modules="all-linear" adds an adapter that the network never asks.
#
# One would expect: each adapter takes part in the forward pass, or peft refuses the layer. With init_lora_weights="pissa" or
#   "olora", which split a weight between the layer and its adapter, the network before training is the one that was loaded.
# What happens: SigLIP pools its patches with torch.nn.MultiheadAttention, which reads the weight of its out_proj and never
#   calls it. peft puts an adapter into that out_proj all the same. It gets no gradient and is saved untrained.
#   PiSSA and OLoRA take the main part of the weight out of the layer, and nothing puts it back: every picture has a wrong
#   embedding before the first step. merge_and_unload() puts it back, so the merged network is not the trained one.
# Who is hurt: whoever tunes SigLIP or SigLIP 2 with "all-linear" or ["out_proj", ...]: evaluations during the training and
#   after merging are those of two networks. No error, no warning. Targets without out_proj are well.
# Where: peft/tuners/lora/model.py, LoraModel._create_new_module; the docstring of peft's own layer for MultiheadAttention
#   says that such adapters are ignored. torch/nn/modules/activation.py, MultiheadAttention.forward. pareja names the
#   layers inside of the blocks, and no others.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 \
    peft==0.21.2 accelerate==1.15.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import peft
import torch
import transformers

tower = dict(hidden_size=32, intermediate_size=64, num_attention_heads=2, num_hidden_layers=1)
config = transformers.SiglipConfig(
    text_config=dict(tower, vocab_size=16, max_position_embeddings=8, projection_size=32),
    vision_config=dict(tower, image_size=16, patch_size=8),
)
picture = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def embedding(network):
    return network.get_image_features(pixel_values=picture).pooler_output


def same(one, other):
    return torch.cosine_similarity(one, other).item() > 0.999


for targets in (["q_proj", "v_proj"], "all-linear"):
    for initial in (True, "pissa"):
        torch.manual_seed(0)
        network = transformers.SiglipModel(config).eval()
        loaded = embedding(network)
        settings = peft.LoraConfig(target_modules=targets, init_lora_weights=initial, r=8)
        adapted = peft.get_peft_model(network, settings).eval()
        before = embedding(adapted)
        before.sum().backward()
        ignored = [
            name
            for name, weight in adapted.vision_model.named_parameters()
            if weight.requires_grad and weight.grad is None and "lora_B" in name
        ]
        merged = embedding(adapted.merge_and_unload())
        print(f"{targets}, {initial}: as loaded {same(loaded, before)}, merged {same(loaded, merged)},", end=" ")
        print("without gradient", [name.removesuffix(".lora_B.default.weight") for name in ignored])
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="['q_proj', 'v_proj'], True: as loaded True, merged True, without gradient []
['q_proj', 'v_proj'], pissa: as loaded True, merged True, without gradient []
all-linear, True: as loaded True, merged True, without gradient ['head.attention.out_proj']
all-linear, pissa: as loaded False, merged True, without gradient ['head.attention.out_proj']"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
