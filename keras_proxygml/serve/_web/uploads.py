"""Bodies of requests: bounded while they come, in bytes, in seconds and in number."""

import asyncio
import time

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.responses import JSONResponse

ENVELOPE = 64 * 1024  # bytes that a form needs besides the picture


class Uploads:
    """Middleware that stops a body that is too large or too slow, while it comes.

    Args:
        app: The next ASGI app.
        max_bytes: How large a picture may be.
        seconds: How long a body may take.
        most: How many bodies may come at a time.
    """

    def __init__(self, app, *, max_bytes: int, seconds: float, most: int) -> None:
        self._app, self._max_bytes, self._seconds, self._most = app, max_bytes, seconds, most
        self._coming = 0

    async def __call__(self, scope, receive, send) -> None:
        """Passes a request on, with a `receive` that counts."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            return await self._app(scope, receive, send)
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > self._max_bytes + ENVELOPE:
            return await _reply(self._too_large(), scope, receive, send)
        if self._coming >= self._most:
            busy = HTTPException(503, "Too many pictures come at once. Try again in a moment.")
            return await _reply(busy, scope, receive, send)
        self._coming += 1
        try:
            await self._app(scope, self._counting(receive), send)
        finally:
            self._coming -= 1

    def _counting(self, receive):
        count, end = 0, time.monotonic() + self._seconds
        is_whole = False

        async def receive_some():
            nonlocal count, is_whole
            if is_whole:
                return await receive()  # which waits until the client goes
            try:
                message = await asyncio.wait_for(receive(), max(0.0, end - time.monotonic()))
            except TimeoutError:
                slow = f"The picture did not arrive within {self._seconds:g} seconds."
                raise HTTPException(408, slow, {"Connection": "close"}) from None
            count += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if count > self._max_bytes + ENVELOPE:
                raise self._too_large()
            return message

        return receive_some

    def _too_large(self):
        large = (
            f"The picture is too large: {self._max_bytes / 2**20:g} MiB are allowed. Make it "
            "smaller and try again."
        )
        return HTTPException(413, large, {"Connection": "close"})


async def _reply(error, scope, receive, send):
    response = JSONResponse({"detail": error.detail}, error.status_code, error.headers)
    await response(scope, receive, send)
