"""The endpoints of the page and of the JSON API."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, File, Form, HTTPException, Request, UploadFile
from fastapi import Path as InPath
from fastapi import Query as InQuery
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

from keras_proxygml import __version__
from keras_proxygml.search.gallery import Item
from keras_proxygml.serve._web import schemas
from keras_proxygml.serve._web.guard import Guard
from keras_proxygml.serve._web.service import Service
from keras_proxygml.serve._web.uploads import Uploads
from keras_proxygml.serve.searching import Searching
from keras_proxygml.serve.settings import Settings

PAGE = Path(__file__).parent.parent / "page"
MOST = 100  # hits
BODIES = 32  # that may come at a time
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.Problem} for status in (401, 403, 408, 413, 422, 503)
}
READING, WRITING = APIRouter(), APIRouter()


def build(searching: Searching, settings: Settings) -> FastAPI:
    """Makes the app.

    Args:
        searching: The gallery.
        settings: What `make_app` was given.

    Returns:
        A FastAPI app.
    """
    service = Service(searching, settings)
    app = FastAPI(
        title=settings.title,
        version=__version__,
        description="Searches a gallery of pictures.",
        lifespan=service.running,
        docs_url=None,  # which would load scripts from elsewhere
        redoc_url=None,
        responses=PROBLEMS,
    )
    app.state.service = service
    app.include_router(READING)
    if settings.uploads is not None:
        app.include_router(WRITING)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    max_bytes, seconds = settings.max_bytes, settings.upload_seconds
    app.add_middleware(Uploads, most=BODIES, max_bytes=max_bytes, seconds=seconds)
    app.add_middleware(Guard, token=settings.token, login=PAGE / "login.html")
    return app


def _service(request: Request) -> Service:
    return request.app.state.service


Shared = Annotated[Service, Depends(_service)]
Picture = Annotated[UploadFile, File(description="A JPEG, PNG, GIF, WebP, BMP, AVIF or HEIC file.")]


async def _item(id: Annotated[str, InPath(description="Its id.")], service: Shared) -> Item:
    return await service.item(id)


Found = Annotated[Item, Depends(_item)]


def _json(name, text):
    """An object that a form has as text."""
    try:
        value = json.loads(text or "null", parse_constant=float)
    except (ValueError, RecursionError):
        value = text
    if not isinstance(value, dict | None):
        raise HTTPException(422, f'`{name}` must be a JSON object, such as {{"shop": "A"}}.')
    return value


@READING.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The page."""
    return FileResponse(PAGE / "index.html")


@READING.get("/health")
async def health() -> schemas.Health:
    """Says that the server runs. Needs no token."""
    return schemas.Health(status="ok", version=__version__)


@READING.get("/about")
def about(service: Shared) -> schemas.About:
    """Says what the gallery is, and what the server accepts."""
    settings = service.settings
    return schemas.About(
        title=settings.title,
        max_bytes=settings.max_bytes,
        max_pixels=settings.max_pixels,
        writable=settings.uploads is not None,
        **service.searching.describe(),
    )


@READING.post("/search")
async def search(
    service: Shared,
    image: Picture,
    k: Annotated[int, Form(ge=1, le=MOST, description="How many items to find.")] = 12,
    where: Annotated[
        str | None, Form(description="Metadata that items must have, a JSON object.")
    ] = None,
) -> schemas.Answer:
    """Finds the items most similar to a picture, and names its class, or says it is unknown."""
    return schemas.Answer(**await service.search(image, k, _json("where", where)))


@READING.get("/items")
def items(
    service: Shared,
    offset: Annotated[int, InQuery(ge=0, le=2**31)] = 0,
    limit: Annotated[int, InQuery(ge=1, le=1000)] = 100,
) -> schemas.Items:
    """Lists items in the order in which they were added."""
    found, total = service.searching.items(offset, limit)
    described = [schemas.Item(**service.described(item)) for item in found]
    return schemas.Items(total=total, offset=offset, items=described)


@READING.get("/items/{id:path}")
async def one_item(service: Shared, item: Found) -> schemas.Item:
    """Looks an item up. Write / in an id as %2F."""
    return schemas.Item(**service.described(item))


@READING.get("/thumbnails/{id:path}", response_class=Response)
async def thumbnail(
    service: Shared, item: Found, size: Literal["small", "large"] = "small"
) -> Response:
    """A JPEG of an item, of at most 320 pixels a side, or 1,280."""
    headers = {"Cache-Control": "private, max-age=3600"}
    return Response(await service.thumbnail(item, size), media_type="image/jpeg", headers=headers)


@WRITING.post("/items", status_code=201)
async def add(
    service: Shared,
    image: Picture,
    label: Annotated[str | None, Form(description="Its class.")] = None,
    metadata: Annotated[str | None, Form(description="A JSON object of plain values.")] = None,
) -> schemas.Item:
    """Adds a picture to the gallery. The server keeps the file, whose path is the item's id."""
    added = await service.add(image, label, _json("metadata", metadata) or {})
    return schemas.Item(**added)


@WRITING.delete("/items/{id:path}", status_code=204)
async def remove(service: Shared, item: Found) -> None:
    """Removes an item. Its file is deleted only if the server keeps it."""
    await service.remove(item)
