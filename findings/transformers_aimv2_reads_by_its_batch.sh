#!/usr/bin/env bash
# transformers 5.23.0, AIMv2-lit: a text has one embedding alone and another one in a batch with padding.
#
# One would expect: the embedding of a text depends on the text. AIMv2-lit's text network was trained causally, as CLIP's.
# What happens: the causal mask is left to the function that builds masks, and that builds none where no text of the
#   batch has padding; the attention itself says is_causal=False. So texts of one length, or one text alone, are
#   read in both directions; with one shorter text among them, all are read causally. With the random network below the two
#   embeddings of the same tokens have a cosine below 0.9999; a mask changes rounding only, beyond the seventh digit.
# Who is hurt: whoever embeds captions in batches and queries one by one (every search): query and caption of the same words
#   are two vectors, and results change with the size of the batch and with what else is in it.
# Where: models/aimv2/modeling_aimv2.py, Aimv2TextModel.forward and Aimv2Attention.__init__ (is_causal = False).
#   pareja always reads causally.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import torch
import transformers

tower = dict(hidden_size=32, intermediate_size=64, num_attention_heads=2, num_hidden_layers=2)
settings = {
    "AIMv2": (transformers.Aimv2Config, transformers.Aimv2Model, "eos_token_id"),
    "CLIP": (transformers.CLIPConfig, transformers.CLIPModel, "eos_token_id"),
}
text, shorter = [1, 5, 6, 7, 8, 3], [1, 5, 3, 0, 0, 0]
for name, (config, model, end) in settings.items():
    torch.manual_seed(0)
    network = model(
        config(
            text_config=tower | {"vocab_size": 16, "max_position_embeddings": 8, end: 3},
            vision_config=tower | {"image_size": 16, "patch_size": 8},
            projection_dim=16,
        )
    ).eval()

    def embedding(*batch):
        ids = torch.tensor(batch)
        mask = (ids != 0).long()
        with torch.no_grad():
            return network.get_text_features(input_ids=ids, attention_mask=mask).pooler_output[0]

    alone = embedding(text)
    for what, other in (("a text of its length", embedding(text, text)), ("a shorter text", embedding(text, shorter))):
        same = torch.cosine_similarity(alone, other, dim=0).item() > 0.9999
        print(f"{name}: beside {what}", "the same embedding as alone" if same else "another embedding than alone")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="AIMv2: beside a text of its length the same embedding as alone
AIMv2: beside a shorter text another embedding than alone
CLIP: beside a text of its length the same embedding as alone
CLIP: beside a shorter text the same embedding as alone"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
