#!/usr/bin/env bash
# transformers 5.23.0, OWL-ViT and OWLv2: a picture with one word gets boxes for words that nobody asked, in a batch.
#
# One would expect: OwlViTProcessor(text=[["a cat"], ["a b", "a c", "a d"]], images=[...]) looks for one word in the first picture and
#   for three in the second, as its documentation shows. The first picture's labels are 0, as when it is alone.
# What happens: the processor fills the shorter list up with " ". The network means to leave such words out, by "the first
#   token is 0", but each text begins with <|startoftext|>, so none is left out. A box takes the word with the highest
#   score, and the empty text has one too: boxes with the label 1, which the first picture does not have, and boxes of
#   the real word that are missing. No error, no warning.
# Who is hurt: whoever looks for different words in different pictures in one batch, as annotation tools do: counts, boxes and
#   scores of a picture depend on its neighbours. One picture at a time, or lists of one length, are well.
# Where: models/owlvit/processing_owlvit.py, OwlViTProcessor.__call__, and models/owlvit/modeling_owlvit.py (and owlv2),
#   OwlViTForObjectDetection.forward (query_mask). The authors of OWL-ViT know it of their code (google-research/scenic#641).
#   Seen with random weights, of the networks' own code. pareja asks one picture at a time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 transformers==5.23.0 \
    pillow==12.2.0 numpy==2.4.6 scipy==1.17.1 2>/dev/null
cat > "$folder/show.py" <<'PY'
import numpy as np
import torch
import transformers
from PIL import Image

letters = "abcdefghijklmnopqrstuvwxyz"
pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
tokenizer = transformers.CLIPTokenizer(
    vocab={"!": 0} | {piece: n for n, piece in enumerate(pieces, 1)}, merges=[], pad_token="!", model_max_length=16,
)
tower = dict(hidden_size=32, intermediate_size=64, num_attention_heads=2, num_hidden_layers=2)
noise = np.random.default_rng(0)
pictures = [Image.fromarray(noise.integers(0, 256, (64, 64, 3), dtype=np.uint8)) for _ in range(10)]
for family, preparing in (("OwlViT", transformers.OwlViTImageProcessorPil), ("Owlv2", transformers.Owlv2ImageProcessorPil)):
    prepare = getattr(transformers, family + "Processor")(preparing(size={"height": 32, "width": 32}), tokenizer)
    config = getattr(transformers, family + "Config")(
        text_config=tower | dict(
            vocab_size=len(pieces) + 1, max_position_embeddings=16, pad_token_id=0,
            bos_token_id=len(pieces) - 1, eos_token_id=len(pieces),
        ),
        vision_config=tower | dict(image_size=32, patch_size=8),
        projection_dim=32,
    )
    torch.manual_seed(0)
    network = getattr(transformers, family + "ForObjectDetection")(config).eval()
    for weight in network.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.5)
    for name, words in (("alone", [["a cat"]]), ("beside a picture with three words", [["a cat"], ["a b", "a c", "a d"]])):
        labels = set()
        for picture in pictures:
            asked = prepare(text=words, images=[picture] * len(words), return_tensors="pt")
            with torch.no_grad():
                answer = network(**asked)
            first = prepare.post_process_grounded_object_detection(
                answer, threshold=0.0, target_sizes=[(64, 64)] * len(words)
            )[0]
            labels.update(first["labels"].tolist())
        print(f"{family}, one word, {name}: labels {sorted(labels)}")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="OwlViT, one word, alone: labels [0]
OwlViT, one word, beside a picture with three words: labels [0, 1]
Owlv2, one word, alone: labels [0]
Owlv2, one word, beside a picture with three words: labels [0, 1]"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
