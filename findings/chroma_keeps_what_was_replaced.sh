#!/usr/bin/env bash
# chromadb 1.5.9: a picture that is added again keeps its old vector, and one that is upserted keeps its old caption and fields.
#
# One would expect: upsert(ids=["a"], embeddings=[...], metadatas=[{"year": 2026}]) puts this row in the place of the old one, as
#   in Qdrant; add() of an id that is there fails, or replaces it. get(ids=[...]) gives rows in the order asked for.
# What happens: upsert keeps every field of the old metadata that the new one does not name, and the old document. add() changes
#   nothing at all for an id that is there, and goes on. get(ids=["c", "b", "a"]) gives a, b, c, and leaves out
#   ids that are not there. No error, no warning.
# Who is hurt: whoever embeds a collection again with another model, by add(): the old vectors stay, beside the new ones
#   of pictures that came later, and searches mix the two spaces. Whoever takes a field away ("private", "sold"): filters
#   still find it, and the new picture has the old one's caption. Whoever pairs ids with the embeddings that get() gave: each has another's.
# Where: chromadb/api/models/Collection.py and the Rust core behind it. That fields stay is known as chroma-core/chroma#1630, the order as
#   chroma-core/chroma#907.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check chromadb==1.5.9 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import chromadb
from chromadb.config import Settings

client = chromadb.EphemeralClient(Settings(anonymized_telemetry=False))
pictures = client.create_collection("pictures", embedding_function=None)
pictures.add(
    ids=["a", "b", "c"],
    embeddings=[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]],
    documents=["a cat", "a dog", "a car"],
    metadatas=[{"private": True}, {"private": True}, {"private": True}],
)
what = ["embeddings", "documents", "metadatas"]


def told(id):
    row = pictures.get(ids=[id], include=what)
    return row["embeddings"][0].tolist(), row["documents"][0], dict(sorted(row["metadatas"][0].items()))


pictures.upsert(ids=["a"], embeddings=[[0.0, -1.0]], metadatas=[{"year": 2026}])
print("upserted:", *told("a"))
pictures.add(ids=["b"], embeddings=[[0.0, -1.0]], documents=["a bird"], metadatas=[{"year": 2026}])
print("added again:", *told("b"))
print("asked for c, b, missing, a:", pictures.get(ids=["c", "b", "missing", "a"])["ids"])
print("where private:", pictures.get(where={"private": True})["ids"])
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="upserted: [0.0, -1.0] a cat {'private': True, 'year': 2026}
added again: [0.0, 1.0] a dog {'private': True}
asked for c, b, missing, a: ['a', 'b', 'c']
where private: ['a', 'b', 'c']"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
