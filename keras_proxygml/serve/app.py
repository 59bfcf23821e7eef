"""The search page as an ASGI app, for any server."""

import os
from typing import TYPE_CHECKING

from keras_proxygml.checks import refuse
from keras_proxygml.search import Gallery
from keras_proxygml.serve.packages import check_packages
from keras_proxygml.serve.searching import Searching
from keras_proxygml.serve.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI


def make_app(
    gallery: Gallery,
    *,
    token: str | None = None,
    title: str = "Search",
    images: str | os.PathLike[str] = ".",
    uploads: str | os.PathLike[str] | None = None,
    max_bytes: int = 32 * 2**20,
    max_pixels: int = 64_000_000,
    upload_seconds: float = 60.0,
) -> "FastAPI":
    """Makes the search page of a gallery, and the JSON API under it.

    The page answers a photograph with the nearest items and the class, or "unknown". The API has
    `POST /search`, `GET /items`, `GET /health` and more, which `/openapi.json` describes.
    Concurrent queries are embedded together. A gallery in a folder is reloaded when another process
    has changed it.

    Args:
        gallery: A `Gallery` with an embedder of square color images. Items whose ids are paths of
            image files are shown.
        token: What a request must bring, as `Authorization: Bearer TOKEN` or once as `/?token=…`.
            16 or more letters, digits and `. _ ~ -`. Without it, only requests to localhost are
            answered.
        title: What the page is called.
        images: The folder from which ids that are relative paths start.
        uploads: A folder for pictures that are added. By default, nothing can be changed. With it,
            `POST /items` adds a picture and `DELETE /items/{id}` removes an item, and the gallery
            has no other writer until it is closed.
        max_bytes: How large a picture may be.
        max_pixels: How many pixels a picture may have. Two pictures are decoded at a time.
        upload_seconds: How long a picture may take to arrive.

    Returns:
        A FastAPI app. It starts one thread, and expects to be run by one process.

    Raises:
        ImportError: If FastAPI, uvicorn or python-multipart is missing.
        ValueError: If the gallery has no such embedder, or an option is not allowed.
    """
    check_packages()
    limits = (max_bytes, max_pixels, upload_seconds)
    settings = Settings(token, title, images, uploads, *limits)
    searching = Searching(gallery)
    first = next(gallery.items(1), None)
    if settings.uploads is not None and first is not None and not isinstance(first.id, str):
        hint = "Added pictures get the paths of their files as ids."
        refuse("uploads", "be None if ids are integers", f"uploads={settings.uploads!r}", hint)
    from keras_proxygml.serve._web.routes import build

    return build(searching, settings)
