"""The search page with its own server."""

import contextlib
import os
from typing import Any

from keras_proxygml.checks import refuse
from keras_proxygml.search import Gallery
from keras_proxygml.serve.addresses import is_loopback, listen
from keras_proxygml.serve.app import make_app
from keras_proxygml.serve.packages import check_packages

CONNECTIONS = 256  # at a time


def serve(
    gallery: Gallery | str | os.PathLike[str],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    **options: Any,
) -> None:
    """Serves the search page of a gallery until Ctrl-C.

    Args:
        gallery: A `Gallery`, or the folder of one.
        host: Where to listen. By default, only this machine reaches the page. `"0.0.0.0"` listens
            everywhere and takes a token. Use a proxy with TLS in networks that are not yours.
        port: 0 takes any free one.
        token: See `make_app`.
        **options: Other arguments of `make_app`.

    Raises:
        ImportError: If FastAPI, uvicorn or python-multipart is missing.
        ValueError: If the port is in use, there is no token where there must be one, or as
            `make_app` and `Gallery.load` do.
        FileNotFoundError: If there is no such folder.
    """
    check_packages()
    if token is None and not is_loopback(host):
        hint = "Take secrets.token_urlsafe(), or host='127.0.0.1' for this machine alone."
        refuse("token", "be given where others can connect", f"host={host!r}, token=None", hint)
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(listen(host, port))
        if not isinstance(gallery, Gallery):
            gallery = stack.enter_context(Gallery.load(gallery))
        app = make_app(gallery, token=token, **options)
        name = f"[{host}]" if ":" in host else host
        query = "" if token is None else f"?token={token}"
        address = f"http://{name}:{connection.getsockname()[1]}/{query}"
        print(f"Serving {gallery} at {address} until Ctrl-C.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):  # the server has stopped in order
            make_server(app).run(sockets=[connection])


def make_server(app: Any) -> Any:
    """Makes the server that `serve` runs.

    Args:
        app: What `make_app` returns.

    Returns:
        A `uvicorn.Server`.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,  # which would hold the token
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)
