"""Runs an exported file in its own runtime, without Keras."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

# From images `[B, ...]` to vectors `[B, D]`.
Run = Callable[[np.ndarray], np.ndarray]


def load(path: Path, format: str) -> Run:
    """Loads an exported file.

    Args:
        path: The file, or the folder of a SavedModel.
        format: Name of the format.

    Returns:
        A function from images `[B, ...]`, of the dtype that the embedder takes, to vectors
        `[B, D]`, float32.
    """
    run = {
        "saved_model": _saved_model,
        "onnx": _onnx,
        "openvino": _openvino,
        "litert": _litert,
    }[format](str(path))
    return lambda images: np.asarray(run(images), "float32")


def load_bytes(path: Path) -> Callable[[list[bytes]], np.ndarray]:
    """Loads the endpoint `serve_bytes` of a SavedModel.

    Args:
        path: Its folder.

    Returns:
        A function from the bytes of B image files to vectors `[B, D]`, float32.
    """
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    return lambda contents: np.asarray(loaded.serve_bytes(tf.constant(contents)), "float32")


def _saved_model(path):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    return lambda images: loaded.serve(tf.constant(images)).numpy()


def _onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def _openvino(path):
    import openvino

    # Some CPUs would otherwise compute in bfloat16.
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", options)
    return lambda images: compiled(images)[compiled.output(0)]


def _litert(path):
    from ai_edge_litert.interpreter import Interpreter

    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    interpreter = Interpreter(model_path=path, num_threads=threads)
    runner = interpreter.get_signature_runner()
    (name,) = runner.get_input_details()
    return lambda images: next(iter(runner(**{name: images}).values()))
