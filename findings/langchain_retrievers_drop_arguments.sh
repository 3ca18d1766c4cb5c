#!/usr/bin/env bash
# langchain-core 1.8.3: arguments of a call to a retriever vanish without a word.
#
# One would expect: `retriever.invoke("a red bird", k=1)` gives one document, or says that it takes no `k`.
# What happens: invoke takes any keyword arguments and hands them on only if the retriever's own method
#   _get_relevant_documents names an argument besides `query` and `run_manager`. The retrievers that follow LangChain's own
#   example name none, so `k`, `filter` and misspelt words alike change nothing.
# Who is hurt: who asks for one document, or for those that a reader may see, and gets all: the chain goes on with what
#   should have been left out.
# Where: langchain_core/retrievers.py, BaseRetriever.invoke (`kwargs_ = kwargs if self._expects_other_args else {}`).
#   pareja.langchain.PictureRetriever names its arguments, so that others are a TypeError.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check langchain-core==1.8.3 2>/dev/null
cat > "$folder/show.py" <<'PY'
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever


class Plain(BaseRetriever):
    """As LangChain's documentation shows one."""

    k: int = 3

    def _get_relevant_documents(self, query, *, run_manager):
        return [Document(page_content=f"page {n}") for n in range(self.k)]


class Named(Plain):
    """The same with an argument that it names."""

    def _get_relevant_documents(self, query, *, run_manager, k=None):
        return [Document(page_content=f"page {n}") for n in range(k or self.k)]


for retriever in (Plain(), Named()):
    for arguments in ({"k": 1}, {"filtre": {"public": True}}):
        try:
            seen = f"{len(retriever.invoke('a red bird', **arguments))} documents"
        except TypeError:
            seen = "TypeError"
        print(type(retriever).__name__, arguments, "->", seen)
PY
seen=$("$folder/venv/bin/python" "$folder/show.py")
echo "$seen"
expected="Plain {'k': 1} -> 3 documents
Plain {'filtre': {'public': True}} -> 3 documents
Named {'k': 1} -> 1 documents
Named {'filtre': {'public': True}} -> TypeError"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
