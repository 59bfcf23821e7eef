"""The function that exports an embedder and checks the file."""

import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import check_integer, refuse
from keras_proxygml.datasets import ImageFiles, evaluation_batches
from keras_proxygml.datasets.decoding import why_unreadable
from keras_proxygml.datasets.reading import import_tensorflow
from keras_proxygml.export.arguments import (
    LEAST_IMAGES,
    check_embedder,
    check_images,
    check_pairs,
    check_path,
    files_of,
)
from keras_proxygml.export.comparison import (
    Exported,
    by_1_and_3,
    compare,
    embed,
    least_cosine,
    warn_unless_faithful,
)
from keras_proxygml.export.formats import check_format
from keras_proxygml.export.runtimes import load, load_bytes
from keras_proxygml.export.writers import for_inference, write

BATCH_SIZE = 32


def export(
    embedder: keras.Model,
    path: str | os.PathLike[str],
    *,
    format: str = "saved_model",
    check: ImageFiles | ArrayLike | None = None,
    labels: ArrayLike | None = None,
    quantize: str | None = None,
    calibration: ImageFiles | ArrayLike | None = None,
    shorter_side: int | None = None,
    overwrite: bool = False,
) -> Exported:
    """Exports an embedder, and checks the file in its own runtime.

    The file is loaded without Keras: by TensorFlow, onnxruntime, OpenVINO or LiteRT. It gets the
    images in batches of 1 and 3. Nothing stands at `path` before all this succeeds.

    A SavedModel has the endpoint `serve`, from images to vectors. If the embedder takes RGB images
    `[S, S, 3]`, 0 to 255, it also has `serve_bytes`, from the bytes of JPEG and PNG files `[B]` to
    vectors. It reads them as `datasets.read_image` does, and raises an error for other files.

    Args:
        embedder: A functional or sequential model from one input to embeddings `[B, D]`, for
            instance `embedder_of(model)`.
        path: Where to write: a folder for `"saved_model"`, or a file that ends in `.onnx`, `.xml`
            for `"openvino"`, or `.tflite` for `"litert"`. OpenVINO writes a `.bin` beside it.
        format: `"saved_model"`, `"onnx"`, `"openvino"` or `"litert"`.
        check: Images to check the file with, four or more: an array `[N, ...]` as the embedder
            takes it, or `ImageFiles`. Without them, the file is only written.
        labels: Class of each image to check with, `[N]`, integers or strings, for Recall@1.
            `ImageFiles` have labels of their own.
        quantize: None, or `"int8"` for weights and activations of 8 bits, in `"onnx"` and
            `"litert"`. Inputs and vectors stay float32.
        calibration: Images that show the range of activations, for `quantize`. A hundred images
            like those of later use, an array or `ImageFiles`.
        shorter_side: Length of an image's shorter side before the central crop, in pixels, where
            image files are read. By default `S · 256 / 224`, rounded, as in `evaluation_batches`.
        overwrite: Whether to replace an earlier export.

    Returns:
        `Exported`: the path, the size, and how the file's vectors differ from the embedder's.

    Raises:
        ValueError: If the format is unknown, the backend cannot write it, or an argument does not
            fit the embedder or the format.
        ImportError: If a package is missing. `pip install 'keras-proxygml[export]'` adds it.
        FileExistsError: If the path is taken.

    Warns:
        UserWarning: If a file in the embedder's precision does not compute what the embedder
            computes: a cosine is below 0.9999.
    """
    known = check_format(format, checks=check is not None, quantize=quantize)
    check_embedder(embedder, format, known)
    target = check_path(path, format, known, overwrite)
    model = for_inference(embedder)
    shape = tuple(model.inputs[0].shape[1:])
    shorter_side = _check_shorter_side(shorter_side, shape)
    batches = functools.partial(
        _batches, dtype=model.inputs[0].dtype, shape=shape, shorter_side=shorter_side
    )
    if check is not None:
        check = check_images("check", check, shape, LEAST_IMAGES)
    labels = check_pairs(check, labels)
    calibrate = _calibration(quantize, calibration, shape, batches)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as folder:
        made = Path(folder) / target.name
        found = {"endpoints": write(model, made, format, calibrate, shorter_side)}
        if check is not None:
            found |= compare(embedder, load(made, format), batches("check", check), labels)
            if "serve_bytes" in found["endpoints"] and isinstance(check, ImageFiles):
                found["least_cosine_of_bytes"] = _compare_bytes(embedder, made, check, batches)
        found["size"] = sum(x.stat().st_size for x in Path(folder).rglob("*") if x.is_file())
        _move(made, target, known)
    exported = Exported(target, format, quantize, **found)
    warn_unless_faithful(exported)
    return exported


def _check_shorter_side(shorter_side, shape):
    """The shorter side of images before the crop, or None if the embedder takes no images."""
    size = shape[0] if len(shape) == 3 else None
    if size is None:
        return shorter_side
    if shorter_side is None:
        return round(size * 256 / 224)
    hint = "No crop fits into less." if isinstance(shorter_side, int) else ""
    check_integer("shorter_side", shorter_side, minimum=size, hint=hint)
    return shorter_side


def _calibration(quantize, calibration, shape, batches):
    """A function that gives an iterator of images `[1, ...]`, or None without quantization."""
    if quantize is None:
        if calibration is not None:
            refuse(
                "calibration", "be None without `quantize`", "images", "Give quantize='int8' too."
            )
        return None
    if calibration is None:
        refuse(
            "calibration",
            "be images for quantize='int8'",
            "None",
            "Give a hundred images like those of later use.",
        )
    calibration = check_images("calibration", calibration, shape, 1)
    return lambda: (
        batch[i : i + 1] for batch in batches("calibration", calibration) for i in range(len(batch))
    )


def _batches(name, images, *, dtype, shape, shorter_side) -> Iterator[np.ndarray]:
    """Batches of images as the embedder takes them."""
    if isinstance(images, ImageFiles):
        options = {"image_size": shape[0], "shorter_side": shorter_side, "on_error": "raise"}
        dataset = evaluation_batches(images, BATCH_SIZE, **options)
        arrays: Any = _until_error(name, dataset, images.paths)
    else:
        arrays = (images[i : i + BATCH_SIZE] for i in range(0, len(images), BATCH_SIZE))
    return (np.asarray(batch, dtype) for batch in arrays)


def _until_error(name, dataset, paths):
    """Batches of images. TensorFlow's error on a file becomes one that names the file."""
    errors = import_tensorflow().errors
    try:
        for images, _ in dataset.as_numpy_iterator():
            yield images
    except errors.InvalidArgumentError:
        for path in paths:
            if reason := why_unreadable(path):
                hint = f"{reason} Or give datasets.readable_files(files)."
                refuse(name, "be images that can be read", f"{path}, which cannot be read", hint)
        raise


def _compare_bytes(embedder, path, files, batches):
    """Least cosine of `serve_bytes` and the embedder, over JPEG and PNG files, or None."""
    paths = list(map(Path, files.paths))
    is_read = np.array([_is_jpeg_or_png(path) for path in paths])
    if not is_read.any():
        return None
    images = batches("check", files)
    expected = np.concatenate([embed(embedder, batch) for batch in images])[is_read]
    contents = [path.read_bytes() for path, read in zip(paths, is_read, strict=True) if read]
    found = np.concatenate([*map(load_bytes(path), by_1_and_3(contents))])
    return least_cosine(expected, found)


def _is_jpeg_or_png(path):
    with open(path, "rb") as file:
        return file.read(8).startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))


def _move(made, target, known):
    """Moves an export to its place, instead of an earlier one."""
    for source, place in zip(files_of(made, known), files_of(target, known), strict=True):
        if place.is_dir():
            shutil.rmtree(place)
        os.replace(source, place)
