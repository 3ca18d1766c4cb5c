#!/usr/bin/env bash
# transformers 5.23.0, CLIP's text network: an end token with the id 2 is taken for a mark of old configurations.
#
# One would expect: CLIPTextConfig(eos_token_id=N) makes the network pool the hidden state at token N, whatever N is.
# What happens: for N = 2, and for no other N, it pools the state at the token with the highest id of the text. The
#   network is causal, so all that follows that token is ignored: two texts that differ only there get the same
#   embedding to the last bit. No error, no warning; training runs, and just learns badly.
# Who is hurt: whoever trains a small CLIP with a tokenizer of their own. Tokenizers of the BERT and SentencePiece
#   families give small ids to special tokens, and 2 is a usual one for the end of a text.
# Where: models/clip/modeling_clip.py, CLIPTextTransformer.forward; the branch is there for the configurations that
#   were published with eos_token_id 2 although their end token is 49407.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import torch
import transformers

sizes = dict(
    vocab_size=16, hidden_size=32, intermediate_size=64, num_attention_heads=2, num_hidden_layers=2,
    max_position_embeddings=8, bos_token_id=1, pad_token_id=0,
)
for end in (2, 3):
    torch.manual_seed(0)
    config = transformers.CLIPTextConfig(**sizes, eos_token_id=end)
    network = transformers.CLIPTextModel(config).eval()
    # The same two texts: start, four words, end. They differ in the words behind the one with the highest id.
    texts = torch.tensor([[1, 5, 15, 6, 7, end], [1, 5, 15, 9, 8, end]])
    with torch.no_grad():
        first, second = network(input_ids=texts).pooler_output
    print(f"end token {end}: largest difference of the two embeddings {'0' if (first - second).abs().max() == 0 else 'above 0'}")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected='end token 2: largest difference of the two embeddings 0
end token 3: largest difference of the two embeddings above 0'
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
