"""What the page and its server refuse, each in a sentence that says what to do."""

import re
import socket
import sys

import keras
import numpy as np
import pytest
from colored import mean_color

from keras_proxygml.search import Gallery
from keras_proxygml.serve import make_app, serve
from keras_proxygml.serve.addresses import listen


def of_vectors():
    gallery = Gallery()
    gallery.add(np.eye(3))
    return gallery


def of(shape):
    inputs = keras.Input(shape)
    return Gallery(keras.Model(inputs, keras.layers.Flatten()(inputs)))


def of_integers():
    gallery = Gallery(mean_color())
    gallery.add(np.ones((1, 8, 8, 3)))
    return gallery


TOKEN = "0123456789abcdef"
# What is done, and the message.
REFUSED = {
    "a gallery of vectors": (
        lambda: make_app(of_vectors()),
        "`gallery` must have an embedder of square color images to be served. Received: no "
        "embedder. Make the gallery with Gallery(embedder), of images [B, S, S, 3].",
    ),
    "gray images": (
        lambda: make_app(of((8, 8, 1))),
        "Received: an embedder of inputs (None, 8, 8, 1).",
    ),
    "oblong images": (
        lambda: make_app(of((8, 6, 3))),
        "Received: an embedder of inputs (None, 8, 6, 3).",
    ),
    "a short token": (
        lambda: make_app(Gallery(mean_color()), token="secret"),
        "`token` must be 16 or more letters, digits and . _ ~ -. Received: 6 characters. Take "
        "secrets.token_urlsafe().",
    ),
    "a token that no cookie holds": (
        lambda: make_app(Gallery(mean_color()), token=TOKEN + ";"),
        "`token` must be 16 or more letters",
    ),
    "no folder for uploads": (
        lambda: make_app(Gallery(mean_color()), uploads="nowhere"),
        "`uploads` must be a folder that is there. Received: uploads='nowhere'.",
    ),
    "no folder of images": (
        lambda: make_app(Gallery(mean_color()), images="nowhere"),
        "`images` must be a folder that is there.",
    ),
    "uploads into a gallery of integers": (
        lambda: make_app(of_integers(), uploads="."),
        "`uploads` must be None if ids are integers. Received: uploads='.'.",
    ),
    "no bytes": (
        lambda: make_app(Gallery(mean_color()), max_bytes=0),
        "`max_bytes` must be an integer of 1 or more.",
    ),
    "no pixels": (
        lambda: make_app(Gallery(mean_color()), max_pixels=0),
        "`max_pixels` must be an integer of 1 or more.",
    ),
    "no time": (
        lambda: make_app(Gallery(mean_color()), upload_seconds=0),
        "`upload_seconds` must be in (0, inf).",
    ),
    "others without a token": (
        lambda: serve(of_vectors(), host="0.0.0.0"),
        "`token` must be given where others can connect. Received: host='0.0.0.0', token=None. "
        "Take secrets.token_urlsafe(), or host='127.0.0.1' for this machine alone.",
    ),
    "an unknown host": (
        lambda: serve(of_vectors(), host="no such host", token=TOKEN),
        "`host` must be an address of this machine. Received: host='no such host' (",
    ),
    "an address of another machine": (
        lambda: serve(of_vectors(), host="192.0.2.1", token=TOKEN),
        "`host` must be an address of this machine. Received: host='192.0.2.1' (",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    action, message = REFUSED[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        action()


def test_a_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        message = (
            f"`port` must be free. Received: port={port}, which another program uses on "
            f"127.0.0.1. Stop that program, or give another port, such as port={port + 1}."
        )
        with pytest.raises(ValueError, match=re.escape(message)):
            serve(Gallery(mean_color()), port=port)


def test_a_port_for_others(monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(ValueError, match=r"`port` must be allowed to you. Received: port=80\."):
        serve(Gallery(mean_color()), port=80)


def test_no_gallery(tmp_path):
    with pytest.raises(FileNotFoundError, match="`path` must be the folder of a gallery"):
        serve(tmp_path / "nothing", port=0)


@pytest.mark.parametrize("module", ["fastapi", "uvicorn", "python_multipart"])
def test_a_missing_package_names_the_extra(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    names = {"fastapi": "FastAPI", "python_multipart": "python-multipart"}
    message = (
        f"The search page takes {names.get(module, module)}, which is not installed. Run "
        "`pip install 'keras-proxygml[serve]'`."
    )
    for function in (make_app, serve):
        with pytest.raises(ImportError, match=re.escape(message)):
            function(of_vectors())


def test_a_port_that_does_not_exist():
    with pytest.raises(ValueError, match=r"`port` must be .*65535.*Received: port=99999"):
        listen("127.0.0.1", 99_999)
