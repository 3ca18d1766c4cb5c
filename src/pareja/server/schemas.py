"""What the HTTP API takes and gives. Names that other programs rely on stay."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pareja.analysis.significance import Estimate
from pareja.search.captions import CaptionMatch
from pareja.search.contracts import LookedUp, Picture, SearchResult, Why
from pareja.search.judging import QueryScore
from pareja.server.asks import DEFAULT_HITS
from pareja.server.fields import NOT_BLANK, OnlyWords, Sent, Whole
from pareja.server.parameters import (
    AT_LEAST,
    BOX,
    FOLD,
    HYBRID,
    LARGEST_ID,
    OFFSET,
    SHOWS,
    WORDS,
    ShownLabel,
)
from pareja.server.settings import DEFAULT_TEMPLATE, MAX_HITS, MAX_LABELS, MAX_QUERY

QueryText = Annotated[str, Field(max_length=MAX_QUERY), OnlyWords]
Id = Annotated[int, Field(ge=1, le=LARGEST_ID), Whole]


class NearDuplicateBody(BaseModel):
    """A picture that was folded into a hit which looks the same."""

    id: int
    path: str
    score: float = Field(description="Cosine similarity in [-1, 1].")


class WhyBody(BaseModel):
    """Why a hybrid search has a picture at its rank."""

    words: list[str] = Field(description="Those that its captions or file names have.")
    rank_by_words: int | None = Field(description="Null where it is not among the first 100.")
    rank_by_vectors: int | None = Field(
        description="Null where the words brought it in from beyond the first 100."
    )

    @classmethod
    def of(cls, why: Why) -> WhyBody:
        """Return the body of a reason."""
        return cls.model_validate(asdict(why))


class LookedUpBody(BaseModel):
    """What a hybrid search did with the words of its query."""

    words: list[str] = Field(description="Those that were looked up in captions and file names.")
    left_out: list[str] = Field(
        description="Those that too many texts have, articles, prepositions and the like."
    )

    @classmethod
    def of(cls, looked_up: LookedUp) -> LookedUpBody:
        """Return the body of what was looked up."""
        return cls.model_validate(asdict(looked_up))


class HitBody(BaseModel):
    """One answer to a search."""

    rank: int
    id: int
    path: str
    score: float = Field(description="Cosine similarity in [-1, 1].")
    caption: str | None
    category: str | None
    license: str | None
    author: str | None
    part: list[float] | None = Field(
        description="The part that is nearest: left, top, width and height in pixels. Null: the "
        "whole picture is, or parts are not indexed."
    )
    near_duplicates: list[NearDuplicateBody] = Field(
        description="With fold: the near duplicates of it, the nearest first."
    )
    why: WhyBody | None = Field(description="With hybrid: what the words did.")


class SearchBody(BaseModel):
    """The answer to a search, best hit first."""

    query: str
    model: str
    took_ms: float
    likely_relevant: bool | None = Field(
        description="False: unrelated queries score as high here. None: not known."
    )
    offset: int = Field(description="How many better ones were left out.")
    more: bool = Field(description="Whether others follow after these.")
    looked_up: LookedUpBody | None = Field(description="With hybrid: which words were looked up.")
    hits: list[HitBody]

    @classmethod
    def of(cls, result: SearchResult, query: str) -> SearchBody:
        """Return the body of a result."""
        return cls(
            query=query,
            model=result.model,
            took_ms=round(result.took_ms, 3),
            likely_relevant=result.likely_relevant,
            offset=result.offset,
            more=result.more,
            looked_up=None if result.looked_up is None else LookedUpBody.of(result.looked_up),
            hits=[
                HitBody(
                    rank=hit.rank,
                    id=hit.picture.id,
                    path=hit.picture.shown_path,
                    score=hit.score,
                    caption=hit.picture.caption,
                    category=hit.picture.category,
                    license=hit.picture.license,
                    author=hit.picture.author,
                    part=None if hit.part is None else list(hit.part),
                    near_duplicates=[
                        NearDuplicateBody(
                            id=other.picture.id, path=other.picture.shown_path, score=other.score
                        )
                        for other in hit.near_duplicates
                    ],
                    why=None if hit.why is None else WhyBody.of(hit.why),
                )
                for hit in result.hits
            ],
        )


class SearchRequest(Sent):
    """A search; at least one of text, image and like."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["text"], "properties": {"text": NOT_BLANK}},
                {"required": ["image"], "properties": {"image": {"type": "string"}}},
                {"required": ["like"], "properties": {"like": {"type": "integer"}}},
            ]
        }
    )

    text: QueryText = Field("", description=WORDS)
    image: str | None = Field(None, description="A data URL: data:image/jpeg;base64,...")
    like: Id | None = None
    box: list[Annotated[float, Field(allow_inf_nan=False)]] = Field(
        [], max_length=4, description=BOX
    )
    minus: QueryText = ""
    category: QueryText = ""
    model: QueryText = ""
    k: Annotated[int, Whole] = Field(DEFAULT_HITS, ge=1, le=MAX_HITS)
    offset: Annotated[int, Whole] = Field(0, ge=0, le=LARGEST_ID, description=OFFSET)
    shows: list[ShownLabel] = Field([], max_length=MAX_LABELS, description=SHOWS)
    at_least: float = Field(0.0, ge=0, le=1, description=AT_LEAST)
    fold: bool = Field(False, description=FOLD)
    hybrid: bool = Field(False, description=HYBRID)


class PictureBody(BaseModel):
    """One picture of the collection."""

    id: int
    digest: str
    path: str
    caption: str | None
    caption_es: str | None
    category: str | None
    label: str | None
    author: str | None
    license: str | None
    source_url: str | None
    width: int
    height: int

    @classmethod
    def of(cls, picture: Picture) -> PictureBody:
        """Return the body of a picture."""
        return cls(**{**vars(picture), "path": picture.shown_path})


class PicturesBody(BaseModel):
    """A part of the collection."""

    total: int = Field(description="Pictures in the whole collection.")
    categories: dict[str, int]
    pictures: list[PictureBody]


class CaptionBody(BaseModel):
    """A caption of the collection and how well it matches."""

    caption: str
    picture_id: int
    score: float

    @classmethod
    def of(cls, match: CaptionMatch) -> CaptionBody:
        """Return the body of a match."""
        return cls(caption=match.caption, picture_id=match.picture.id, score=match.score)


class CaptionsBody(BaseModel):
    """The captions that match a picture best, and those that match it worst."""

    best: list[CaptionBody]
    worst: list[CaptionBody]


class ModelBody(BaseModel):
    """An encoder that answers."""

    id: str
    object: Literal["model"] = "model"
    created: Literal[0] = 0
    owned_by: str = "pareja"


class ModelsBody(BaseModel):
    """The encoders that answer, the default first, in the shape of the OpenAI API."""

    object: Literal["list"] = "list"
    data: list[ModelBody]


class ClassifierBody(BaseModel):
    """A classifier that was learned from examples."""

    name: str
    model: str = Field(description="The encoder whose embeddings it reads.")
    method: str
    n_examples: int = Field(description="Pictures that it was learned from.")
    labels: dict[str, int] = Field(description="How many pictures have each label.")


class ClassifiersBody(BaseModel):
    """The classifiers that the server was started with."""

    classifiers: list[ClassifierBody]


class MapPointBody(BaseModel):
    """A picture's place on the map, both coordinates in [-1, 1]."""

    id: int
    x: float
    y: float


class MapBody(BaseModel):
    """The collection on a plane."""

    model: str
    total: int
    explained: float = Field(description="Share of the variance that the plane keeps.")
    points: list[MapPointBody]


class JudgementRequest(Sent):
    """Whether a picture answers a query; null takes a judgement back."""

    query: Annotated[str, Field(min_length=1, max_length=MAX_QUERY)]
    picture_id: Id
    relevant: bool | None


class JudgementsBody(BaseModel):
    """The judgements on a query, by picture id."""

    query: str
    judgements: dict[int, bool]


Query = Annotated[str, Field(min_length=1, max_length=MAX_QUERY, json_schema_extra=NOT_BLANK)]


class QuerySetRequest(Sent):
    """Queries to judge and evaluate together."""

    name: Annotated[str, Field(min_length=1, max_length=100, json_schema_extra=NOT_BLANK)]
    queries: Annotated[list[Query], Field(min_length=1, json_schema_extra={"uniqueItems": True})]


class QuerySetBody(BaseModel):
    """A query set."""

    name: str
    queries: list[str]


class EstimateBody(BaseModel):
    """A mean over queries with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, estimate: Estimate) -> EstimateBody:
        """Return the body of an estimate."""
        return cls(value=estimate.value, low=estimate.low, high=estimate.high)


class QueryScoreBody(BaseModel):
    """How one query fared."""

    query: str
    hits: list[int] = Field(description="Ids of the results, best first.")
    relevant: list[bool]
    judged: list[bool]
    known: int = Field(description="Pictures of the collection that were judged relevant.")
    precision: dict[int, float]
    ndcg: float
    reciprocal_rank: float

    @classmethod
    def of(cls, score: QueryScore) -> QueryScoreBody:
        """Return the body of a query's score."""
        return cls.model_validate(vars(score))


class ModelScoresBody(BaseModel):
    """How one encoder fared: P@1, P@3, P@5, nDCG@5 and MRR, over all and by query."""

    overall: dict[str, EstimateBody]
    queries: list[QueryScoreBody]
    left_out: list[str] = Field(description="Queries about which nothing was judged relevant.")


class EvaluationBody(BaseModel):
    """A query set's scores, by encoder."""

    query_set: str
    models: dict[str, ModelScoresBody]


class ErrorDetail(BaseModel):
    """What is wrong, in one sentence, and which kind of error it is."""

    message: str
    type: str
    param: str | None = Field(description="The parameter of the request that it is about.")
    code: str = Field(description="A short name of what is wrong, for programs.")


class ErrorBody(BaseModel):
    """An error, in the shape that clients of the OpenAI API know."""

    error: ErrorDetail


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route says of the errors that it answers with."""
    return {status: {"model": ErrorBody} for status in statuses}


class ImageInput(Sent):
    """A picture to embed."""

    image: str = Field(description="A data URL, data:image/jpeg;base64,..., or base64 alone.")


class PictureInput(Sent):
    """A picture of the collection."""

    id: Id


class ClassifyRequest(Sent):
    """Pictures, and what they may show."""

    images: Annotated[list[ImageInput | PictureInput], Field(min_length=1)]
    labels: Annotated[list[QueryText], Field(min_length=1)] = Field(
        [], description="The choices; none where a classifier is named, which has its own."
    )
    classifier: QueryText = Field("", description="One that the server was started with.")
    template: QueryText = Field(
        DEFAULT_TEMPLATE, description="The name of a set of templates, or one with {}."
    )
    model: QueryText = ""
    multi_label: bool = Field(False, description="A picture may show several labels, or none.")
    unknown: float | None = Field(
        None, ge=0, le=1, description="Certainty below which a picture shows none of the labels."
    )


class ClassifiedBody(BaseModel):
    """What a picture was taken for."""

    path: str = Field(description="Of the file; the place in the request if it came with that.")
    id: int | None
    label: str | None = Field(description="Null where it shows none of them.")
    labels: list[str]
    scores: dict[str, float] = Field(description="Probabilities in [0, 1], highest first.")
    certainty: float = Field(description="The best label's share, beside none of them, in [0, 1].")


class ClassifyBody(BaseModel):
    """What the pictures were taken for, in the order of the request."""

    model: str
    classifier: str | None
    templates: list[str]
    labels: list[str]
    threshold: float | None
    images: list[ClassifiedBody]
