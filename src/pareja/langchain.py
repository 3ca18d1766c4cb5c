"""Pictures of a collection for LangChain: what a chain retrieves before a model answers."""

from __future__ import annotations

from typing import Any

from pareja.errors import MissingDependencyError
from pareja.search import Collection, Picture, Query

try:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from pydantic import ConfigDict
except ImportError as error:
    raise MissingDependencyError(
        "langchain-core", "to retrieve pictures for LangChain", "langchain"
    ) from error


class PictureRetriever(BaseRetriever):
    """Finds pictures by words, as LangChain's retrievers do.

    Each of `k`, `minus`, `category` and `only_relevant` may also be given with a call:
    ``retriever.invoke("a red bird", k=2)``. Other arguments are a `TypeError`.

    Parameters
    ----------
    collection
        What is searched, as `pareja.open` returns it.
    model
        The encoder, or its name; by default the first that the collection was indexed with.
    k
        How many pictures are wanted, at least 1.
    minus
        Words to move away from.
    category
        Only pictures of this category.
    only_relevant
        Return nothing where unrelated queries score as high, so that probably no picture fits.

    Raises
    ------
    pydantic.ValidationError
        If the retriever is given a parameter that it does not have.
    CollectionError
        From a call, if the query is empty, `k` is below 1, or there is no such category or encoder.

    Examples
    --------
    ::

        retriever = PictureRetriever(collection=pareja.open("photos.index"), k=3)
        for document in retriever.invoke("a fish in the water"):
            print(document.metadata["score"], document.metadata["path"], document.page_content)
    """

    # What the constructor does not know would change nothing.
    model_config = ConfigDict(extra="forbid")

    collection: Collection
    model: Any = None
    k: int = 5
    minus: str | None = None
    category: str | None = None
    only_relevant: bool = False

    # LangChain ignores the arguments of a call unless this signature names some.
    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        minus: str | None = None,
        category: str | None = None,
        only_relevant: bool | None = None,
    ) -> list[Document]:
        wanted = Query(text=query, minus=minus or self.minus, category=category or self.category)
        found = self.collection.search(wanted, self.model, k=self.k if k is None else k)
        strict = self.only_relevant if only_relevant is None else only_relevant
        if strict and found.likely_relevant is False:
            return []
        return [
            Document(
                id=str(hit.picture.id),
                page_content=" ".join(captions_of(hit.picture)) or hit.picture.shown_name,
                metadata={
                    "id": hit.picture.id,
                    "path": hit.picture.shown_path,
                    "score": hit.score,
                    "rank": hit.rank,
                    "captions": captions_of(hit.picture),
                    "category": hit.picture.category,
                    "likely_relevant": found.likely_relevant,
                },
            )
            for hit in found
        ]


def captions_of(picture: Picture) -> list[str]:
    """Return what people wrote of a picture, in every language that it has."""
    return [text for text in (picture.caption, picture.caption_es) if text]
