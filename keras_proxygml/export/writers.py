"""Writes an embedder in each format."""

import functools
import tempfile
import warnings
from pathlib import Path

import keras

from keras_proxygml.export.arguments import is_square_rgb
from keras_proxygml.export.image_bytes import read_images
from keras_proxygml.export.onnx_files import (
    check_operations,
    give_constants,
    quantize,
    teach_tf2onnx,
)


def for_inference(embedder):
    """Makes a model that computes what `predict` computes, with an input named `images`.

    Keras exports `embedder.__call__`, in which random augmentation is on by default. It exports
    to ONNX only models that were called.
    """
    given = embedder.inputs[0]
    images = keras.Input(given.shape[1:], dtype=given.dtype, name="images")
    model = keras.Model(images, embedder(images, training=False), name=embedder.name)
    model(images)
    return model


def write(model, path, format, calibration, shorter_side):
    """Writes a model.

    Args:
        model: A model of `for_inference`.
        path: Where to, a free `Path`.
        format: Name of the format.
        calibration: For int8, a function that gives an iterator of images `[1, ...]`. None for
            the embedder's own precision.
        shorter_side: See `export`. Only a SavedModel reads image files.

    Returns:
        Names of the endpoints of a SavedModel. Other formats have none.
    """
    with warnings.catch_warnings():
        # They are about Keras's, PyTorch's and JAX's code. The check judges the file.
        warnings.simplefilter("ignore")
        if format == "saved_model":
            return _write_saved_model(model, path, shorter_side)
        if format == "onnx":
            _write_onnx(model, path, calibration)
        else:
            options = _int8_of_litert(calibration) if format == "litert" else {}
            _export(model, path, format, **options)
    return ()


def _export(model, path, format, **options):
    # Keras takes no Path for OpenVINO.
    model.export(str(path), format=format, verbose=False, **options)


def _write_saved_model(model, path, shorter_side):
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    if keras.backend.backend() != "tensorflow":
        # On TensorFlow, it would save every weight a second time (keras issue 23553).
        archive.track(model)
    (images,) = model.inputs
    signature = [keras.InputSpec(dtype=images.dtype, shape=images.shape, name="images")]
    serve = archive.add_endpoint(
        "serve", functools.partial(model.__call__, training=False), signature
    )
    endpoints = ["serve"]
    if is_square_rgb(images.shape[1:]):
        endpoints.append("serve_bytes")

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
        def serve_bytes(image_bytes):
            pixels = read_images(image_bytes, images.shape[1], shorter_side)
            return serve(tf.cast(pixels, images.dtype))

        serve_bytes.get_concrete_function()  # Keras wants it traced
        archive.add_endpoint("serve_bytes", serve_bytes)
    archive.write_out(str(path), verbose=False)
    return tuple(endpoints)


def _write_onnx(model, path, calibration):
    if keras.backend.backend() == "tensorflow":
        teach_tf2onnx()
    with tempfile.TemporaryDirectory() as folder:
        whole = path if calibration is None else Path(folder) / "float32.onnx"
        _export(model, whole, "onnx")
        if keras.backend.backend() == "tensorflow":
            give_constants(whole, model)
        check_operations(whole)
        if calibration is not None:
            quantize(whole, path, calibration)


def _int8_of_litert(calibration):
    """Options of LiteRT's converter for weights and activations of 8 bits, none for float32."""
    import tensorflow as tf

    if calibration is None:
        return {}

    def representative_dataset():
        for image in calibration():
            yield [image]

    return {
        "optimizations": [tf.lite.Optimize.DEFAULT],
        "representative_dataset": representative_dataset,
    }
