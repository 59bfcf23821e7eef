"""Who may ask: those who have the token or, without one, this machine."""

import hmac
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import FileResponse, JSONResponse, RedirectResponse

from keras_proxygml.serve.addresses import is_loopback

COOKIE = "keras_proxygml_token"
OPEN = ("/health", "/page/")  # what needs no token: no item can be seen there
# The page loads nothing from elsewhere, and nothing elsewhere may show it in a frame.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """Middleware that lets nobody else search the gallery.

    Without a token, only requests to a loopback host are answered: a site whose name a stranger
    points to this machine has another host.

    Args:
        app: The next ASGI app.
        token: What a request must bring, or None.
        login: The page that asks for the token.
    """

    def __init__(self, app, *, token: str | None, login) -> None:
        self._app, self._token, self._login = app, token, login

    async def __call__(self, scope, receive, send) -> None:
        """Passes a request on, or answers it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        response = self._refusal(scope)

        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (response or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope):
        """The response to a request that must not pass, or None."""
        connection = HTTPConnection(scope)
        headers = connection.headers
        if _is_foreign(headers, scope["method"]):
            return JSONResponse({"detail": "Requests of other sites are refused."}, 403)
        if self._token is None:
            if is_loopback(_host_of(headers)):
                return None
            hint = "Without a token, only requests to localhost are answered."
            return JSONResponse({"detail": hint}, 403)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and self._is_token(given):
            return self._enter(scope)
        if scope["path"].startswith(OPEN) or self._is_token(_token_of(connection)):
            return None
        if scope["path"] == "/":
            return FileResponse(self._login, 401)
        hint = "Send the header `Authorization: Bearer TOKEN`."
        return JSONResponse({"detail": hint}, 401, {"WWW-Authenticate": "Bearer"})

    def _enter(self, scope):
        """Keeps the token in a cookie, and takes it out of the address."""
        response = RedirectResponse("./", 303)
        is_secure = scope["scheme"] == "https"
        cookie = {"httponly": True, "samesite": "lax", "secure": is_secure}
        response.set_cookie(COOKIE, self._token, max_age=30 * 86400, **cookie)
        return response

    def _is_token(self, given):
        return hmac.compare_digest(given.encode(), self._token.encode())


def _token_of(connection):
    kind, _, token = connection.headers.get("authorization", "").partition(" ")
    # Cookies of other sites on this host may be odd. Starlette reads past them.
    return token.strip() if kind.lower() == "bearer" else connection.cookies.get(COOKIE, "")


def _host_of(headers):
    """The host that a request names, without its port."""
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _is_foreign(headers, method):
    """Whether a page of another site makes this request in a visitor's browser."""
    if method in ("GET", "HEAD"):
        return False  # which change nothing, and whose answers other sites can't read
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host", "")
