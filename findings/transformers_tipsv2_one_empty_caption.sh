#!/usr/bin/env bash
# transformers 5.23.0, TIPSv2: one empty caption takes the probabilities of all captions with it.
#
# One would expect: an empty text gets some embedding, as with CLIP and SigLIP, or an error that names it; the other
#   captions keep their scores.
# What happens: TIPSv2's tokenizer adds no token of its own, so an empty text has nothing but padding. The mean over no token
#   is zero, which the division by its own length makes NaN. The softmax over the captions of a picture then is NaN for
#   every caption, and the contrastive loss of the whole batch is NaN. No error, no warning.
# Who is hurt: whoever classifies or trains with captions that people wrote. One empty cell of a table makes all answers
#   NaN, and argmax of them says 0: every picture gets the first caption; a training step makes weights NaN.
# Where: models/tipsv2/modeling_tipsv2.py, Tipsv2TextModel.forward (pooling) and Tipsv2Model.forward (division by
#   _get_vector_norm). pareja embeds the padding of an empty text.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import torch
import transformers

torch.manual_seed(0)
pieces = ["<pad>", "<unk>", "▁", *"abcdefghijklmnopqrstuvwxyz"]
tokenizer = transformers.Tipsv2Tokenizer(vocab={piece: n for n, piece in enumerate(pieces)}, merges=[])
tower = dict(hidden_size=32, num_attention_heads=2, num_hidden_layers=1)
config = transformers.Tipsv2Config(
    text_config=tower | dict(vocab_size=len(pieces), intermediate_size=64),
    vision_config=tower | dict(mlp_ratio=2, image_size=28),
)
network = transformers.Tipsv2Model(config).eval()
pictures = torch.rand(3, 3, 28, 28)
for captions in (["a wall", "a bird", "a cat"], ["a wall", "a bird", ""]):
    texts = tokenizer(captions, padding="max_length", max_length=64, return_tensors="pt")
    with torch.no_grad():
        answer = network(pixel_values=pictures, return_loss=True, **texts)
    probabilities = answer.logits_per_image.softmax(-1)
    print(
        captions,
        f"NaN: {probabilities.isnan().sum()} of 9 probabilities, the loss: {answer.loss.isnan().item()},",
        "best:", probabilities.argmax(-1).tolist(),
    )
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="['a wall', 'a bird', 'a cat'] NaN: 0 of 9 probabilities, the loss: False, best: [1, 1, 1]
['a wall', 'a bird', ''] NaN: 9 of 9 probabilities, the loss: True, best: [0, 0, 0]"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
