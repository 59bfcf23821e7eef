"""What the JSON looks like. FastAPI makes the OpenAPI description of it."""

from typing import Any

from pydantic import BaseModel, Field

Metadata = dict[str, Any]


class Item(BaseModel):
    """An item of the gallery."""

    id: int | str
    label: int | str | None = Field(description="Its class, if it has one.")
    metadata: Metadata
    thumbnail: str | None = Field(description="Address of a small picture, if there is one.")


class Hit(Item):
    """An item that a search found."""

    similarity: float = Field(description="Cosine of the item and the picture, at most 1.")


class Answer(BaseModel):
    """What a search found."""

    known: bool | None = Field(
        description="Whether the nearest labeled item reaches the threshold. Null if the gallery "
        "has no threshold or no label, so that this can't be decided."
    )
    label: int | str | None = Field(description="The class, or null if it is not known.")
    nearest_label: int | str | None = Field(description="Class of the nearest labeled item.")
    similarity: float | None = Field(description="Cosine of the nearest labeled item.")
    threshold: float | None = Field(
        description="The lowest similarity at which a query counts as known."
    )
    hits: list[Hit] = Field(description="The most similar items, the nearest first.")
    warning: str | None = Field(description="What is wrong with the gallery, if something is.")


class Items(BaseModel):
    """Some items, in the order in which they were added."""

    total: int = Field(description="How many items the gallery has.")
    offset: int
    items: list[Item]


class Health(BaseModel):
    """That the server runs."""

    status: str
    version: str


class About(BaseModel):
    """What the gallery is, and what the server accepts."""

    title: str
    num_items: int
    threshold: float | None = Field(
        description="The lowest similarity at which a query counts as known."
    )
    warning: str | None = Field(description="What is wrong with the gallery, if something is.")
    max_bytes: int = Field(description="How large a picture may be.")
    max_pixels: int = Field(description="How many pixels a picture may have.")
    writable: bool = Field(description="Whether items can be added and removed.")


class Problem(BaseModel):
    """Why a request was not answered."""

    detail: str | list[dict[str, Any]]
