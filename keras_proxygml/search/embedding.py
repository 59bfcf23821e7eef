"""From what users give a gallery to vectors: arrays, image files, paths, or batches."""

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_proxygml.checks import check_vectors, refuse
from keras_proxygml.datasets import ImageFiles, evaluation_batches, read_image
from keras_proxygml.datasets.decoding import why_unreadable
from keras_proxygml.datasets.reading import import_tensorflow
from keras_proxygml.labeled_data import as_arrays, check_data, class_labels

FEW = 8  # files that are read one by one, because a pipeline takes longer to build


class Reading(NamedTuple):
    """Inputs that are read once.

    Attributes:
        batches: An iterator of `Batch`.
        num_batches: How many there are, or None if that is unknown.
        paths: Paths of the image files, `[N]`, or None for other inputs.
    """

    batches: Iterator["Batch"]
    num_batches: int | None
    paths: np.ndarray | None = None


class Batch(NamedTuple):
    """What a part of the inputs gives.

    Attributes:
        vectors: `[B, D]`, float32.
        places: Place of each among the inputs. `[B]`, integers. Images that can't be read leave
            gaps.
        labels: Labels that came with the inputs, `[B]`, or None.
    """

    vectors: np.ndarray
    places: np.ndarray | range
    labels: np.ndarray | None


def takes_images(embedder: keras.Model | None) -> bool:
    """Tells whether a model takes images `[B, S, S, 3]`, so that paths can be read for it."""
    shape = getattr(embedder, "input_shape", None)
    return isinstance(shape, tuple) and len(shape) == 4 and shape[-1] == 3


def read_batches(
    embedder: keras.Model | None, inputs: Any, batch_size: int, options: Mapping[str, Any]
) -> Reading:
    """Reads inputs once, batch by batch.

    Args:
        embedder: A model from inputs to vectors, or None if the inputs are vectors `[N, D]`.
        inputs: An array or a structure of arrays, `ImageFiles`, paths of images, or batches:
            a `tf.data.Dataset` or a `keras.utils.PyDataset`, of inputs or of pairs of inputs and
            labels.
        batch_size: How many to embed at a time.
        options: Arguments of `evaluation_batches`, for image files.

    Returns:
        A `Reading`.

    Raises:
        ValueError: If the inputs are none of these, or the embedder does not take them.
    """
    if embedder is None:
        vectors = check_vectors("inputs", _vectors_of(inputs))
        return Reading(iter([Batch(vectors, range(len(vectors)), None)]), 1)
    paths = _paths_of(inputs) if takes_images(embedder) else None
    if paths is not None:
        if len(paths) <= FEW and (few := _read_few(embedder, paths, options)):
            return few
        inputs = ImageFiles(paths, np.zeros(len(paths), int), ("",))
        return _read_files(embedder, inputs, batch_size, options, with_labels=False)
    if isinstance(inputs, ImageFiles):
        return _read_files(embedder, inputs, batch_size, options, with_labels=True)
    if isinstance(inputs, keras.utils.PyDataset) or _is_dataset(inputs):
        return _read_dataset(embedder, inputs)
    return _read_arrays(embedder, inputs, batch_size)


def _vectors_of(inputs):
    if isinstance(inputs, (ImageFiles, str, os.PathLike)) or _is_dataset(inputs):
        allowed = "be vectors [N, D], because this gallery has no embedder"
        refuse("inputs", allowed, f"a {type(inputs).__name__}", "Give Gallery(embedder) a model.")
    vectors = np.asarray(inputs) if isinstance(inputs, (list, tuple)) else inputs
    if keras.ops.is_tensor(vectors):
        return keras.ops.convert_to_numpy(vectors)
    return vectors


def _is_dataset(inputs):
    """Whether inputs are batches: they can be iterated, and are neither arrays nor lists."""
    is_array = keras.ops.is_tensor(inputs) or isinstance(inputs, (np.ndarray, list, tuple, dict))
    return not is_array and hasattr(inputs, "__iter__") and not hasattr(inputs, "__array__")


def _paths_of(inputs):
    """Paths as a list, or None if the inputs are something else."""
    if isinstance(inputs, (str, os.PathLike)):
        return [inputs]
    is_list = isinstance(inputs, (list, tuple)) and len(inputs)
    if is_list and all(isinstance(item, (str, os.PathLike)) for item in inputs):
        return list(inputs)
    is_text = isinstance(inputs, np.ndarray) and inputs.dtype.kind == "U" and inputs.size
    return inputs.ravel().tolist() if is_text else None


def read_one(
    embedder: keras.Model | None, source: str | os.PathLike[str] | bytes, options: Mapping[str, Any]
) -> np.ndarray:
    """Reads one image file, a path or bytes, as the embedder takes it.

    Args:
        embedder: A model of images `[B, S, S, 3]`.
        source: As in `datasets.read_image`.
        options: Arguments of `datasets.read_image` besides `image_size`.

    Returns:
        RGB, 0 to 255. `[S, S, 3]`, float32.

    Raises:
        ValueError: If the embedder does not take such images, or the image can't be read.
    """
    return read_image(source, **_image_size(embedder), **options)


def _image_size(embedder):
    shape = None if embedder is None else embedder.input_shape
    if not takes_images(embedder) or shape[1] != shape[2]:
        refuse(
            "inputs",
            "be arrays or batches, because files are read for embedders of square color images",
            f"image files, and {f'an embedder of inputs {shape}' if shape else 'no embedder'}",
            "Read them with datasets.read_image, or by a pipeline of your own.",
        )
    return {} if shape[1] is None else {"image_size": shape[1]}


def _read_files(embedder, files, batch_size, options, with_labels):
    size = _image_size(embedder)
    # Each image is labeled by its own place, so an image that is skipped shifts nothing.
    numbered = ImageFiles(files.paths, np.arange(len(files)), files.paths)
    data = evaluation_batches(numbered, batch_size, **size, **options)
    names = np.array(files.class_names)

    def read():
        for images, places in _until_error(data, files.paths):
            labels = names[files.labels[places]] if with_labels else None
            yield Batch(_embed(embedder, images), places.astype("int64"), labels)

    return Reading(read(), -(-len(files) // batch_size), files.paths)


def _read_few(embedder, paths, options):
    """The same for a few paths, or None if one of them can't be read."""
    size = embedder.input_shape[1]
    if size is None or size != embedder.input_shape[2]:
        return None
    options = {name: value for name, value in options.items() if name != "on_error"}
    try:
        images = np.stack([read_image(path, image_size=size, **options) for path in paths])
    except (OSError, ValueError):
        return None
    names = np.array([os.fspath(path) for path in paths])
    return Reading(iter([Batch(_embed(embedder, images), np.arange(len(paths)), None)]), 1, names)


def _until_error(data, paths):
    """Batches that are not empty. TensorFlow's error on a file becomes one that names the file."""
    errors = import_tensorflow().errors
    last = -1
    try:
        for images, places in data.as_numpy_iterator():
            if len(images):
                yield images, places
                last = places[-1]
    except errors.InvalidArgumentError:
        for path in paths[last + 1 :]:
            if reason := why_unreadable(path):
                received = f"{path}, which cannot be read"
                hint = f'{reason} Or leave such files out with on_error="skip".'
                refuse("inputs", 'be readable with on_error="raise"', received, hint)
        raise


def _read_dataset(embedder, inputs):
    data = check_data("inputs", inputs)

    def pairs():
        is_sequence = isinstance(data, keras.utils.PyDataset)
        parts = map(data.__getitem__, range(data.num_batches)) if is_sequence else data
        for part in parts:
            yield part if isinstance(part, (tuple, list)) else (part, None)

    def read():
        first = 0
        for part in pairs():
            values = keras.tree.map_structure(_native, as_arrays(part[0]))
            labels = part[1] if len(part) > 1 else None
            vectors = _embed(embedder, values)
            places = np.arange(first, first + len(vectors))
            first += len(vectors)
            yield Batch(vectors, places, None if labels is None else class_labels("inputs", labels))

    is_sequence = isinstance(data, keras.utils.PyDataset)
    size = data.num_batches if is_sequence else getattr(data, "cardinality", lambda: -2)()
    return Reading(read(), int(size) if int(size) > 0 else None)


def _native(inputs):
    # A PyTorch DataLoader gives tensors that other backends do not take.
    return inputs if keras.ops.is_tensor(inputs) else np.asarray(inputs)


def _read_arrays(embedder, inputs, batch_size):
    arrays = keras.tree.map_structure(_native, as_arrays(inputs))
    leaves = keras.tree.flatten(arrays)
    lengths = {len(leaf) if leaf.ndim else 0 for leaf in leaves}
    expected = getattr(embedder, "input_shape", None)
    if isinstance(expected, tuple) and len(leaves) == 1 and leaves[0].ndim != len(expected):
        hint = "Give a batch: of one image, image[None]."
        allowed = f"be {list(expected)}, a batch of what the embedder takes"
        refuse("inputs", allowed, f"shape {tuple(leaves[0].shape)}", hint)
    if len(lengths) != 1 or not min(lengths):
        received = f"arrays of {', '.join(map(str, sorted(lengths))) or 'no'} items"
        refuse("inputs", "be arrays of equal length, with at least one item", received)
    (count,) = lengths

    def read():
        for first in range(0, count, batch_size):
            some = slice(first, first + batch_size)
            part = keras.tree.map_structure(lambda leaf, some=some: leaf[some], arrays)
            vectors = _embed(embedder, part)
            yield Batch(vectors, np.arange(first, first + len(vectors)), None)

    return Reading(read(), -(-count // batch_size))


def _embed(embedder, inputs):
    vectors = np.asarray(embedder.predict_on_batch(inputs), "float32")
    if vectors.ndim != 2:
        hint = "Give embedder_of(model), which ends where the proxies begin."
        refuse("embedder", "return vectors [B, D]", f"outputs of shape {vectors.shape}", hint)
    return check_vectors("inputs", vectors)
