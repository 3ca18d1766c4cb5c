#!/usr/bin/env bash
# peft 0.21.2 with a CLIP of transformers 5.23.0: unload() gives a base model that holds trained layers.
#
# One would expect: unload() gives the model that was adapted, as its docstring says ("Return the base model by removing all the
#   PEFT modules"), and as disable_adapter() does.
# What happens: the adapters go, but the trained copies of the layers in modules_to_save take the place of the original ones. The
#   result is neither the base model nor the trained one. No error, no warning.
# Who is hurt: whoever tunes CLIP with LoRA and modules_to_save=["visual_projection"] and unloads to compare before and after,
#   or to start a second training: "before" has the new projection behind the old tower, so its scores are too low.
# Where: peft/utils/other.py, ModulesToSaveWrapper.unload_and_optionally_merge_module, which gives back the copy whether it merges
#   or not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 transformers==5.23.0 \
    peft==0.21.2 accelerate==1.15.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import copy
import warnings

import peft
import torch
import transformers

warnings.simplefilter("ignore")
tower = dict(hidden_size=32, intermediate_size=64, num_attention_heads=2, num_hidden_layers=1)
config = transformers.CLIPConfig(
    text_config=dict(tower, vocab_size=16, max_position_embeddings=8, bos_token_id=1, eos_token_id=3),
    vision_config=dict(tower, image_size=16, patch_size=8),
    projection_dim=16,
)
pictures = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def embeddings(network):
    with torch.no_grad():
        return network.get_image_features(pixel_values=pictures).pooler_output


for kept in (None, ["visual_projection"]):
    torch.manual_seed(0)
    network = transformers.CLIPModel(config).eval()
    loaded = embeddings(network)
    settings = peft.LoraConfig(target_modules=["q_proj"], modules_to_save=kept)
    adapted = peft.get_peft_model(network, settings).eval()
    for weight in adapted.parameters():  # as a training leaves them
        if weight.requires_grad:
            weight.data += 0.3 * torch.randn_like(weight)
    with adapted.disable_adapter():
        disabled = torch.allclose(embeddings(adapted), loaded, atol=1e-5)
    unloaded = torch.allclose(embeddings(copy.deepcopy(adapted).unload()), loaded, atol=1e-5)
    print(f"modules_to_save={kept}: the base model with disable_adapter() {disabled}, after unload() {unloaded}")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="modules_to_save=None: the base model with disable_adapter() True, after unload() True
modules_to_save=['visual_projection']: the base model with disable_adapter() True, after unload() False"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
