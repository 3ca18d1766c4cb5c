#!/usr/bin/env bash
# peft 0.21.2 with a CLIP of transformers 5.23.0: 1.0 times one adapter is another adapter, unless it is plain LoRA.
#
# One would expect: add_weighted_adapter(["one"], [1.0], "again") gives an adapter that does what "one" does, or refuses
#   kinds of LoRA that it cannot mix.
# What happens: with use_rslora=True the new adapter acts sqrt(r) times as strongly (four times for r=16), for all three ways
#   of combining. With use_dora=True the magnitudes that were trained are left out, with lora_bias=True the biases.
#   No error, no warning.
# Who is hurt: whoever mixes adapters of CLIP for two collections, or weakens one to 0.5 so that less is forgotten ("model soups",
#   WiSE-FT): what is measured is no mixture of the two.
# Where: peft/tuners/lora/model.py, LoraModel.add_weighted_adapter: the settings of the first adapter are kept, with lora_alpha = r, which
#   is a factor of 1 for plain LoRA alone. Open as huggingface/peft#3761.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 transformers==5.23.0 \
    peft==0.21.2 accelerate==1.15.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import warnings

import peft
import torch
import transformers

warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
config = transformers.CLIPVisionConfig(
    hidden_size=32, intermediate_size=64, num_attention_heads=2, num_hidden_layers=2, image_size=32, patch_size=8,
)
pictures = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def embeddings(network):
    with torch.no_grad():
        return network(pixel_values=pictures).pooler_output


for name, options in (
    ("LoRA", {}), ("use_rslora", {"use_rslora": True}), ("use_dora", {"use_dora": True}), ("lora_bias", {"lora_bias": True}),
):
    torch.manual_seed(0)
    settings = peft.LoraConfig(target_modules=["q_proj", "v_proj"], r=16, init_lora_weights=False, **options)
    adapted = peft.get_peft_model(transformers.CLIPVisionModel(config), settings, adapter_name="one").eval()
    for part, weight in adapted.named_parameters():  # as a training leaves them
        if "magnitude" in part or part.endswith("lora_B.one.bias"):
            weight.data += 0.3 * torch.randn_like(weight)
    trained = embeddings(adapted)
    for way in ("linear", "cat", "svd"):
        rank = {"svd_rank": 16} if way == "svd" else {}
        adapted.add_weighted_adapter(["one"], [1.0], way, combination_type=way, **rank)
        adapted.set_adapter(way)
        same = torch.allclose(embeddings(adapted), trained, atol=1e-3)
        print(f"{name}, 1.0 of one adapter by {way}:", "the same network" if same else "another network")
        adapted.set_adapter("one")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="LoRA, 1.0 of one adapter by linear: the same network
LoRA, 1.0 of one adapter by cat: the same network
LoRA, 1.0 of one adapter by svd: the same network
use_rslora, 1.0 of one adapter by linear: another network
use_rslora, 1.0 of one adapter by cat: another network
use_rslora, 1.0 of one adapter by svd: another network
use_dora, 1.0 of one adapter by linear: another network
use_dora, 1.0 of one adapter by cat: another network
use_dora, 1.0 of one adapter by svd: another network
lora_bias, 1.0 of one adapter by linear: another network
lora_bias, 1.0 of one adapter by cat: another network
lora_bias, 1.0 of one adapter by svd: another network"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
