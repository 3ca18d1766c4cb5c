#!/usr/bin/env bash
# langchain-community 0.4.2 with faiss-cpu 1.15.1: by inner product, the nearest picture has the lowest relevance, and after load_local
# a threshold keeps the farthest.
#
# One would expect: FAISS.from_texts(..., distance_strategy=MAX_INNER_PRODUCT) on vectors of length 1 ranks and filters by the cosine,
#   and an index that was saved and loaded gives what it gave before.
# What happens:
#   - similarity_search_with_relevance_scores takes 1 minus the product for a score: 0.0 for the query's own vector, 0.6 for one that
#     points away from it. A retriever of the kind "similarity_score_threshold" therefore leaves out the best and keeps the worst.
#   - load_local forgets the strategy. The index is still one of products, but score_threshold is compared as for distances:
#     of 1.0, 0.8 and -0.6, a threshold of 0.7 keeps -0.6 alone. (Given to load_local again, the strategy is right.)
#   - DistanceStrategy.DOT_PRODUCT and COSINE make an index of L2 distances, of vectors as they are: longer ones sink.
#   No error; the only warning is of relevance scores below 0.
# Who is hurt: whoever searches CLIP's or SigLIP's embeddings through LangChain with a threshold: pages of answers that do not
#   fit, or nothing where there is much. Reported as langchain-ai/langchain-community#175 and langchain-ai/langchain#32498.
# Where: langchain_core/vectorstores/base.py, _max_inner_product_relevance_score_fn; langchain_community/vectorstores/faiss.py,
#   load_local, similarity_search_with_score_by_vector and __from. The scores of pareja.langchain are higher for what is nearer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    langchain-community==0.4.2 langchain-core==1.8.3 faiss-cpu==1.15.1 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import sys

from langchain_community.vectorstores import FAISS
from langchain_community.vectorstores.utils import DistanceStrategy
from langchain_core.embeddings import Embeddings

pictures = {"near": [1.0, 0.0], "aside": [0.8, 0.6], "away": [-0.6, 0.8]}
longer = {"near, long": [9.0, 0.0], "aside": [0.8, 0.6], "away": [-0.6, 0.8]}


class Known(Embeddings):
    def __init__(self, vectors):
        self.vectors = vectors

    def embed_documents(self, texts):
        return [self.vectors[text] for text in texts]

    def embed_query(self, text):
        return [1.0, 0.0]


def told(found):
    return [f"{document.page_content} {score:.1f}" for document, score in found]


def names(found):
    return [document.page_content for document in found]


made = FAISS.from_texts(list(pictures), Known(pictures), distance_strategy=DistanceStrategy.MAX_INNER_PRODUCT)
print("relevance:", told(made.similarity_search_with_relevance_scores("a query", k=3)))
retriever = made.as_retriever(search_type="similarity_score_threshold", search_kwargs={"k": 3, "score_threshold": 0.5})
print("a retriever for relevance from 0.5:", names(retriever.invoke("a query")))
made.save_local(sys.argv[1])
loaded = FAISS.load_local(sys.argv[1], Known(pictures), allow_dangerous_deserialization=True)
for name, index in (("made", made), ("loaded", loaded)):
    print(f"{name}, all:", told(index.similarity_search_with_score("a query", k=3)))
    print(f"{name}, from 0.7:", told(index.similarity_search_with_score("a query", k=3, score_threshold=0.7)))
for strategy in ("MAX_INNER_PRODUCT", "DOT_PRODUCT", "COSINE"):
    index = FAISS.from_texts(list(longer), Known(longer), distance_strategy=DistanceStrategy[strategy])
    print(f"{strategy}: {type(index.index).__name__}, {names(index.similarity_search('a query', k=3))}")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" "$folder/index" 2>/dev/null)
echo "$seen"
expected="relevance: ['near 0.0', 'aside 0.2', 'away 0.6']
a retriever for relevance from 0.5: ['away']
made, all: ['near 1.0', 'aside 0.8', 'away -0.6']
made, from 0.7: ['near 1.0', 'aside 0.8']
loaded, all: ['near 1.0', 'aside 0.8', 'away -0.6']
loaded, from 0.7: ['away -0.6']
MAX_INNER_PRODUCT: IndexFlatIP, ['near, long', 'aside', 'away']
DOT_PRODUCT: IndexFlatL2, ['aside', 'away', 'near, long']
COSINE: IndexFlatL2, ['aside', 'away', 'near, long']"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
