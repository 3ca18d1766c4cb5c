#!/usr/bin/env bash
# peft 0.21.2 with a CLIP of transformers 5.23.0: modules_to_save=["logit_scale"] trains nothing and saves nothing.
#
# One would expect: LoraConfig(..., modules_to_save=["logit_scale"]) trains CLIP's temperature beside the adapters and
#   keeps it in the adapter's file, as it does for "visual_projection"; or, since logit_scale is a bare parameter and
#   no module, that peft refuses the name. A name that fits nothing at all would be refused in target_modules.
# What happens: the name is dropped in silence. The parameter stays frozen and is in no file; a misspelt name as well.
# Who is hurt: whoever tunes CLIP or SigLIP with a sigmoid or softmax loss and wants the scale (and bias) to follow: the
#   run looks right, and loading the adapter brings the old temperature back, so probabilities are those of the base.
# Where: peft/utils/other.py, _set_trainable, which looks at modules only and counts no matches.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 \
    peft==0.21.2 accelerate==1.15.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import warnings

import peft
import transformers

warnings.simplefilter("ignore")
tower = dict(hidden_size=32, intermediate_size=64, num_attention_heads=2, num_hidden_layers=1)
config = transformers.CLIPConfig(
    text_config=dict(tower, vocab_size=16, max_position_embeddings=8, bos_token_id=1, eos_token_id=3),
    vision_config=dict(tower, image_size=16, patch_size=8),
    projection_dim=16,
)
for wanted in ("visual_projection", "logit_scale", "no_such_layer"):
    model = transformers.CLIPModel(config)
    adapted = peft.get_peft_model(
        model, peft.LoraConfig(target_modules=["q_proj"], modules_to_save=[wanted])
    )
    trained = any(wanted in name for name, p in adapted.named_parameters() if p.requires_grad)
    saved = any(wanted in name for name in peft.get_peft_model_state_dict(adapted))
    print(f"modules_to_save=[{wanted!r}]: trained {trained}, saved {saved}")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="modules_to_save=['visual_projection']: trained True, saved True
modules_to_save=['logit_scale']: trained False, saved False
modules_to_save=['no_such_layer']: trained False, saved False"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
