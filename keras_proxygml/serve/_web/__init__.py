"""The web side of the search page. This is the one place that imports FastAPI.

A request passes these, from the outside in:

1. `Guard` asks for the token or, without one, for a loopback host. It refuses requests that other
   sites make in a visitor's browser, and adds headers that keep the page to its own server.
2. `Uploads` counts the bytes of a body while they come, and stops a body that is too large, too
   slow, or one too many.
3. `routes` has the endpoints. Pictures are decoded a few at a time in other threads, and searched
   by the `Worker`.

`schemas` says what the JSON looks like, from which FastAPI makes `/openapi.json`.
"""
