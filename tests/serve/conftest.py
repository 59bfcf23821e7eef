"""A gallery of plain-colored pictures, and a client of its page."""

import importlib.util

import pytest
from colored import fill, mean_color

# The tests on JAX and PyTorch run without these.
NEEDED = ("fastapi", "httpx2", "python_multipart", "uvicorn")
if any(importlib.util.find_spec(name) is None for name in NEEDED):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of the pictures."""
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def gallery(folder):
    """The gallery, with a threshold."""
    from keras_proxygml.search import Gallery

    with Gallery(mean_color()) as gallery:
        fill(gallery, folder).calibrate(false_accept_rate=0.1)
        yield gallery


@pytest.fixture(scope="module")
def client(gallery):
    """A client of the gallery's page."""
    from starlette.testclient import TestClient

    from keras_proxygml.serve import make_app

    app = make_app(gallery, title="Colors & more", max_pixels=1_000_000, max_bytes=2**20)
    with TestClient(app, base_url="http://localhost") as client:
        yield client
