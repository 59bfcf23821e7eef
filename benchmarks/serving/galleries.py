"""A gallery of photographs, and a server of it in its own process."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

from benchmarks.measuring import ROOT
from keras_proxygml.datasets import ImageFiles
from keras_proxygml.search import Gallery

SERVE = "import sys; from keras_proxygml.serve import serve; serve({path!r}, port=0, {options})"


def image_files(folder, classes=None):
    """The photographs of a folder with one folder a class, `ImageFiles`.

    If `class_names.json` is beside the folder, it gives names, which need not be unique.
    """
    folders = sorted(x for x in Path(folder).absolute().iterdir() if x.is_dir())[:classes]
    found = [(str(path), c) for c, one in enumerate(folders) for path in sorted(one.iterdir())]
    paths, labels = zip(*found, strict=True)
    listed = Path(folder).parent / "class_names.json"
    given = json.loads(listed.read_text()) if listed.exists() else {}
    names = [f"{given.get(one.name, '')} {one.name}".strip() for one in folders]
    return ImageFiles(paths, np.array(labels), names)


def make_gallery(photos, backbone, classes, image_size=112):
    """A calibrated gallery of most photographs, and the paths of the others, every fourth one.

    Args:
        photos: A folder with one folder a class.
        backbone: A `.keras` file from RGB 0..255 to features.
        classes: How many classes the gallery holds. One more class stays out of it.
        image_size: Height and width of the embedder's inputs.

    Returns:
        The `Gallery`, paths of queries whose class it holds, and paths of another class.
    """
    inputs = keras.Input((image_size, image_size, 3))
    features = keras.models.load_model(backbone, compile=False)(inputs)
    gallery = Gallery(keras.Model(inputs, features))
    files = image_files(photos, classes + 1)
    is_query, is_stranger = np.arange(len(files)) % 4 == 3, files.labels == classes
    kept = ~is_query & ~is_stranger
    gallery.add(ImageFiles(files.paths[kept], files.labels[kept], files.class_names))
    gallery.calibrate(f1=True)
    return gallery, files.paths[is_query & ~is_stranger], files.paths[is_stranger]


@contextlib.contextmanager
def server(path, **options):
    """Serves a saved gallery in another process, until the end of the `with` block.

    Args:
        path: The gallery's folder.
        **options: Arguments of `serve`.

    Yields:
        The process, a `subprocess.Popen`, and the address of the page.
    """
    words = ", ".join(f"{name}={value!r}" for name, value in options.items())
    code = SERVE.format(path=str(path), options=words)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"The server ended with {process.wait()}.")
        address = next(word for word in line.split() if word.startswith("http://"))
        yield process, address
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
