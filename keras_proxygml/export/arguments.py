"""Checks of what users give to `export`."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_proxygml.checks import as_array, check_labels, check_same_length, refuse
from keras_proxygml.datasets import ImageFiles
from keras_proxygml.layers import ProxySimilarity

LEAST_IMAGES = 4  # for a batch of 1 and a batch of 3


def check_embedder(embedder, format, known):
    """Raises unless a model goes from one input to embeddings, in a precision that is supported.

    Args:
        embedder: What was given.
        format: Name of the format.
        known: The `Format`.

    Raises:
        ValueError: If it is another model.
    """
    if not isinstance(embedder, keras.Model):
        refuse("embedder", "be a keras.Model", f"a {type(embedder).__name__}")
    layers = embedder._flatten_layers()
    heads = [layer.name for layer in layers if isinstance(layer, ProxySimilarity)]
    if heads:
        received = f"{embedder.name}, which has the proxy layer {heads[0]}"
        refuse("embedder", "end in embeddings", received, "Give embedder_of(model).")
    inputs, outputs = (getattr(embedder, name, None) or [] for name in ("inputs", "outputs"))
    if len(inputs) != 1 or len(outputs) != 1 or len(outputs[0].shape) != 2:
        shapes = [[x.shape for x in tensors] for tensors in (inputs, outputs)]
        received = "no known inputs" if not inputs else f"inputs {shapes[0]}, outputs {shapes[1]}"
        refuse(
            "embedder",
            "be a functional or sequential model from one input to embeddings [B, D]",
            f"{embedder.name}, a {type(embedder).__name__} with {received}",
            "Call it on keras.Input(shape), and make a keras.Model from this input to embeddings.",
        )
    halves = [x.name for x in layers if x.compute_dtype in ("float16", "bfloat16")]
    if halves and not known.takes_half:
        refuse(
            "embedder",
            f"compute in float32 for {format}",
            f"{embedder.name}, where {len(halves)} layers such as {halves[0]} compute in half "
            "precision",
            "Make the same model under keras.config.set_dtype_policy('float32'), and give it these "
            "weights: twin.set_weights(embedder.get_weights()).",
        )


def check_path(path, format, known, overwrite):
    """Checks where a file is to be written.

    Args:
        path: What was given.
        format: Name of the format.
        known: The `Format`.
        overwrite: Whether an earlier export may be replaced.

    Returns:
        The path, a `Path`.

    Raises:
        ValueError: If it does not end as the format wants.
        FileExistsError: If it is taken.
    """
    path = Path(path)
    if known.suffix and path.suffix != known.suffix:
        refuse("path", f"end in {known.suffix} for {format}", str(path))
    taken = [x for x in files_of(path, known) if x.exists()]
    if taken and not overwrite:
        hint = "Give another path, or overwrite=True."
        refuse("path", "be free", f"{taken[0]}, which exists", hint, error=FileExistsError)
    for other in taken:
        is_folder, should_be = other.is_dir(), not known.suffix
        is_export = (other / "saved_model.pb").exists() or (is_folder and not any(other.iterdir()))
        if is_folder != should_be or (is_folder and not is_export):
            received = f"{other}, which is something else"
            allowed = f"be free or an earlier export to {format}"
            refuse("path", allowed, received, "Give another path.", error=FileExistsError)
    return path


def files_of(path, known):
    """All files or folders of an export."""
    return [path, path.with_suffix(".bin")] if known.suffix == ".xml" else [path]


def check_images(name: str, images: Any, shape: tuple[int | None, ...], least: int) -> Any:
    """Checks images for an embedder.

    Args:
        name: Name of the argument.
        images: An array or `ImageFiles`.
        shape: Shape of one image, as the embedder takes it.
        least: How many there must be.

    Returns:
        A finite array, or the files.

    Raises:
        ValueError: If the images do not fit the embedder, or there are too few.
    """
    if isinstance(images, ImageFiles):
        if not is_square_rgb(shape):
            allowed = f"be an array, because the embedder does not take [S, S, 3] but {[*shape]}"
            refuse(name, allowed, "ImageFiles")
    else:
        images = as_array(images)
        fits = images.ndim == len(shape) + 1 and all(
            size in (None, given) for size, given in zip(shape, images.shape[1:], strict=True)
        )
        if not fits or images.dtype.kind not in "fiu":
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            received = f"shape {images.shape}, dtype {images.dtype}"
            refuse(name, f"be numbers [N, {wanted}], as the embedder takes them", received)
        if not all(np.isfinite(image).all() for image in images):
            refuse(name, "be finite", "NaN or infinite values", "Fix or remove these images.")
    if len(images) < least:
        refuse(name, f"have {least} images or more", f"{len(images)} images")
    return images


def check_pairs(check, labels):
    """Checks labels of the images to check with.

    Args:
        check: The images, or None.
        labels: What was given, or None.

    Returns:
        Labels `[N]`, or None. `ImageFiles` have labels of their own, which are left out if no class
        has two images.

    Raises:
        ValueError: If there are labels without images, or of another length.
    """
    if labels is None:
        has_pairs = isinstance(check, ImageFiles) and _has_pairs(check.labels)
        return check.labels if has_pairs else None
    if check is None:
        refuse("labels", "be None without `check`", "labels", "Give the images as check=images.")
    labels = check_labels("labels", labels)
    check_same_length("labels", labels, "check", check)
    if not _has_pairs(labels):
        refuse("labels", "have a class of at least two images", f"{len(labels)} classes of one")
    return labels


def _has_pairs(labels):
    return len(np.unique(labels)) < len(labels)


def is_square_rgb(shape):
    """Whether an embedder takes images `[S, S, 3]` of a fixed size S."""
    return len(shape) == 3 and shape[0] == shape[1] and shape[0] is not None and shape[2] == 3
