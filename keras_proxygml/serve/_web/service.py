"""What the endpoints share: the gallery, its worker, and the pictures."""

import asyncio
import contextlib
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import HTTPException, UploadFile
from fastapi.concurrency import run_in_threadpool

from keras_proxygml.datasets.decoding import why_unreadable
from keras_proxygml.search.gallery import Item
from keras_proxygml.serve.pictures import Thumbnails, TooLargeError, check_pixels
from keras_proxygml.serve.searching import SIZES, OtherEmbedderError, Query, Searching
from keras_proxygml.serve.settings import Settings
from keras_proxygml.serve.worker import Worker

# Pictures decoded at a time, which bounds the memory. One of 50 million pixels takes 0.2 GB as a
# JPEG and 1.1 GB as a WebP.
DECODERS, LARGE_DECODERS = 2, 1
LARGE = 16_000_000  # pixels
WAITING = 64  # queries that may wait
TRIES = 3  # while the gallery gets another embedder


class Service:
    """A gallery behind a server.

    Args:
        searching: The gallery.
        settings: What `make_app` was given.
    """

    def __init__(self, searching: Searching, settings: Settings) -> None:
        self.searching, self.settings = searching, settings
        self.worker = Worker(searching.search, SIZES[0], searching.refresh)
        self.thumbnails = Thumbnails(settings.images, settings.max_pixels)
        self._decoding = asyncio.Semaphore(DECODERS)
        self._large = asyncio.Semaphore(LARGE_DECODERS)

    @contextlib.asynccontextmanager
    async def running(self, _: Any):
        """Starts the worker, and stops it at the end."""
        self.worker.start()
        try:
            await self._call(self.searching.warm_up)
            yield
        finally:
            await run_in_threadpool(self.worker.stop)

    async def search(self, upload: UploadFile, k: int, where: dict | None) -> dict[str, Any]:
        """Answers a query, see `schemas.Answer`."""
        for _ in range(TRIES):
            image, number, _ = await self._prepare(upload)
            if self.worker.waiting() >= WAITING:
                raise HTTPException(503, "Too many searches wait. Try again in a moment.")
            future = self.worker.search(Query(image, k, where, number))
            try:
                answer = await asyncio.wrap_future(future)
            except OtherEmbedderError:
                continue
            except ValueError as error:
                raise HTTPException(422, str(error)) from error
            hits = [hit | {"thumbnail": self._thumbnail_of(hit["id"])} for hit in answer["hits"]]
            return answer | {"hits": hits}
        raise HTTPException(503, "The gallery is being replaced. Try again in a moment.")

    async def add(self, upload: UploadFile, label: str | None, metadata: dict) -> dict[str, Any]:
        """Adds a picture to the gallery, and keeps its file. See `schemas.Item`."""
        image, _, contents = await self._prepare(upload)
        folder = Path(self.settings.uploads or ".").absolute()
        path = folder / f"{uuid.uuid4().hex}{_suffix(upload)}"

        def change(gallery):
            path.write_bytes(contents)
            try:
                gallery.add(image[None], [label], ids=[str(path)], metadata=[metadata])
            except BaseException:
                path.unlink()
                raise

        await self._change(change)
        return self.described(Item(str(path), image, label, metadata))

    async def remove(self, item: Item) -> None:
        """Removes an item, and its file if the server keeps it."""
        await self._change(lambda gallery: gallery.remove([item.id]))
        path = Path(str(item.id))
        if path.parent == Path(self.settings.uploads or ".").absolute():
            path.unlink(missing_ok=True)

    async def item(self, name: str) -> Item:
        """The item of an id, or the error 404."""
        found = await run_in_threadpool(self.searching.item, name)
        if found is None:
            raise HTTPException(404, "The gallery has no such item.")
        return found

    async def thumbnail(self, item: Item, size: str) -> bytes:
        """A JPEG of an item, or the error 404."""
        path = self.thumbnails.path_of(item.id)
        made = None if path is None else await run_in_threadpool(self.thumbnails.make, path, size)
        if made is None:
            raise HTTPException(404, "The item has no picture that can be read.")
        return made

    def described(self, item: Item) -> dict[str, Any]:
        """An item as `schemas.Item`."""
        rest = {"label": item.label, "metadata": item.metadata}
        return {"id": item.id, **rest, "thumbnail": self._thumbnail_of(item.id)}

    async def _prepare(self, upload):
        """What the embedder takes, the number of the embedder, and the bytes of the file."""
        async with self._decoding:
            await upload.seek(0)
            contents = await upload.read()
            try:
                pixels = await run_in_threadpool(check_pixels, contents, self.settings.max_pixels)
                async with self._large if pixels > LARGE else contextlib.nullcontext():
                    image, number = await run_in_threadpool(self.searching.prepare, contents)
            except TooLargeError as error:
                raise HTTPException(413, str(error)) from error
            except ValueError as error:
                why = await run_in_threadpool(why_unreadable, contents)
                detail = f"This is no picture that can be read. {why or error}"
                raise HTTPException(422, detail) from error
        return image, number, contents

    async def _change(self, change):
        try:
            await self._call(lambda: self.searching.change(change))
        except ValueError as error:
            raise HTTPException(409, str(error)) from error

    async def _call(self, function):
        return await asyncio.wrap_future(self.worker.call(function))

    def _thumbnail_of(self, id_):
        has_one = self.thumbnails.path_of(id_) is not None
        return f"/thumbnails/{quote(str(id_), safe='')}" if has_one else None


def _suffix(upload):
    suffix = Path(upload.filename or "").suffix.lower()
    return suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) < 6 else ""
