"""What ``/v1/embeddings`` takes and gives, in the shapes that clients of other servers send."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from pareja.data_urls import is_data_url
from pareja.server.fields import Sent, Whole
from pareja.server.problems import TOKENS
from pareja.server.schemas import ImageInput, QueryText
from pareja.server.settings import MAX_TEXT

Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


class TextPart(Sent):
    """A text in a message."""

    type: Literal["text"]
    text: Text


class ImageUrl(Sent):
    """A picture in a message."""

    url: str = Field(description="A data URL: data:image/jpeg;base64,...")


class ImagePart(Sent):
    """A picture in a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


class Message(Sent):
    """A message, as chat clients write it."""

    role: Literal["user"]
    content: Text | list[Annotated[TextPart | ImagePart, Field(discriminator="type")]]


def _unwrapped(given: Any) -> Any:
    """Take data URLs for their pictures, and texts out of the field that some clients wrap them in.

    Raises
    ------
    PydanticCustomError
        If there are token ids.
    """
    if isinstance(given, list):
        if any(isinstance(part, int) for item in given for part in _listed(item)):
            raise PydanticCustomError(TOKENS, "holds token ids where texts belong")
        return [_unwrapped(item) if isinstance(item, str | dict) else item for item in given]
    if isinstance(given, dict) and list(given) == ["text"]:
        return given["text"]
    return {"image": given} if isinstance(given, str) and is_data_url(given) else given


def _listed(item: Any) -> list[Any]:
    return item if isinstance(item, list) else [item]


class EmbeddingsRequest(Sent):
    """Texts and pictures to embed. A text that is a data URL is taken for its picture."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {
                    "required": ["input"],
                    "properties": {"input": {"type": ["string", "object", "array"]}},
                },
                {"required": ["messages"], "properties": {"messages": {"type": "array"}}},
            ]
        }
    )

    input: Annotated[
        Text | ImageInput | list[Text | ImageInput] | None,
        BeforeValidator(_unwrapped),
    ] = None
    messages: list[Message] | None = Field(
        None, description="In place of input: one text or one picture, as chat clients send it."
    )
    model: QueryText = ""
    encoding_format: Literal["float", "base64"] | None = None
    embedding_type: Literal["float", "base64"] | None = Field(
        None, description="Another name of encoding_format."
    )
    normalized: bool = Field(True, description="Must be true: all embeddings have length 1.")
    dimensions: Annotated[int, Whole] | None = Field(
        None,
        description="The length of the encoder's embeddings, or a shorter one that it was trained "
        "to be cut to. Others are refused.",
    )
    modality: Literal["text", "image"] | None = Field(
        None, description="What every item of the input is; others are refused."
    )
    user: str | None = Field(None, description="Taken for clients that send it; without effect.")


class EmbeddingBody(BaseModel):
    """One embedding: numbers, or little-endian float32 in base64."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """Always 0: nothing is charged."""

    prompt_tokens: int = 0
    total_tokens: int = 0


class EmbeddingsBody(BaseModel):
    """Embeddings in the order of the input."""

    object: Literal["list"] = "list"
    model: str
    data: list[EmbeddingBody]
    usage: Usage = Usage()
