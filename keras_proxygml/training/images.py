"""The forms of images that `fine_tune` takes: files, or arrays in memory."""

import dataclasses
from typing import Any, TypeAlias

import numpy as np

from keras_proxygml.checks import check_labels, check_number, check_same_length, refuse
from keras_proxygml.datasets import ImageFiles, evaluation_batches, training_batches
from keras_proxygml.datasets.arrays import array_evaluation_batches, array_training_batches
from keras_proxygml.training.recipes import Recipe


@dataclasses.dataclass(frozen=True, eq=False)
class ImageArrays:
    """Images in memory with their classes, in the manner of `ImageFiles`.

    Attributes:
        images: RGB from 0 to 255. `[n, height, width, 3]`.
        labels: Class of each image. `[n]`, int32 in `[0, C)`.
        class_names: Name of each of the C classes.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]

    def __len__(self):
        return len(self.images)


Images: TypeAlias = ImageFiles | ImageArrays


def as_images(name: str, data: Any) -> Images:
    """Checks images with labels, and numbers the classes of arrays.

    Args:
        name: Name of the argument.
        data: `ImageFiles`, or a pair of arrays: RGB images `[n, height, width, 3]` from 0 to 255,
            and labels `[n]`, integers or names.

    Returns:
        `ImageFiles` or `ImageArrays`.

    Raises:
        ValueError: If it is something else.
    """
    if isinstance(data, (ImageFiles, ImageArrays)):
        return data
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        allowed = "be ImageFiles, or a pair of arrays (images, labels)"
        refuse(name, allowed, f"a {type(data).__name__}", "See datasets.image_folder.")
    images, labels = np.asarray(data[0]), check_labels(f"{name}[1]", data[1])
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype.kind not in "uif":
        received = f"images of shape {images.shape}, dtype {images.dtype}"
        hint = "Repeat a gray channel with numpy.repeat(images, 3, axis=-1)."
        refuse(name, "have images [n, height, width, 3], RGB from 0 to 255", received, hint)
    check_same_length(f"{name}[1]", labels, f"{name}[0]", images)
    if len(images) and images.dtype.kind == "f" and np.max(images) <= 1:
        hint = "Multiply the images by 255."
        refuse(name, "have pixels from 0 to 255", "a largest pixel of 1 or less", hint)
    names, numbers = np.unique(labels, return_inverse=True)
    return ImageArrays(images, numbers.astype("int32"), tuple(map(str, names.tolist())))


def check_classes(recipe: Recipe, train: Images, test: Images | None) -> None:
    """Checks that there are enough classes and images to train on and to test on.

    Raises:
        ValueError: If there are too few.
    """
    count = len(train.class_names)
    if test is None and count < 2:
        received = f"{count} classes"
        refuse("train", "hold images of two classes or more", received, "Add class folders.")
    if test is not None and min(count, len(test.class_names)) < 2:
        others = len(test.class_names)
        refuse(
            "train",
            "hold images of two classes or more, and so must `test`",
            f"images with {count + others} classes, {count} to train on and {others} to test on",
            "Add class folders.",
        )
    if test is not None and np.bincount(test.labels).max() < 2:
        received, hint = "one image of each", "Add images of these classes."
        refuse("test", "hold two images or more of a class", received, hint)
    lowest = 1 / count
    if recipe.ratio <= lowest:
        refuse(
            "ratio",
            f"be above {lowest:.3g} with {count} classes to train on",
            f"{recipe.ratio}, which compares a sample with its own class only",
            "Raise it, for instance to 1, or add classes.",
        )


def natural_size(images: Images, otherwise: int) -> int:
    """Returns the size that images have if nothing else says one: that of an array's."""
    return min(images.images.shape[1:3]) if isinstance(images, ImageArrays) else otherwise


def side_before_crop(images: Images, image_size: int, shorter_side: int | None) -> int:
    """Returns the length of the shorter side before the central crop.

    Images in memory are taken for ready, so they are resized and not cropped. Files are cropped as
    in the paper.
    """
    if shorter_side is not None:
        check_number("shorter_side", shorter_side, f"[{image_size}, inf)")
        return shorter_side
    return image_size if isinstance(images, ImageArrays) else round(image_size * 256 / 224)


def batches_to_train(images: Images, recipe: Recipe, **options: Any) -> Any:
    """Makes the training batches of files or arrays.

    Args:
        images: What to train on.
        recipe: A `Recipe`.
        **options: `image_size`, `preprocess`, `seed` and `first_epoch` of `training_batches`.

    Returns:
        A `tf.data.Dataset` of `(images, labels)`.
    """
    options |= {"area": (recipe.crop_area, 1.0), "flip": recipe.flip}
    if isinstance(images, ImageFiles):
        return training_batches(images, recipe.batch_size, **options)
    return array_training_batches(images.images, images.labels, recipe.batch_size, **options)


def batches_to_test(images: Images, **options: Any) -> Any:
    """Makes the evaluation batches of files or arrays, see `evaluation_batches`.

    Args:
        images: What to evaluate on.
        **options: `image_size`, `shorter_side` and `preprocess` of `evaluation_batches`.

    Returns:
        A `tf.data.Dataset` of `(images, labels)`.
    """
    if isinstance(images, ImageFiles):
        return evaluation_batches(images, **options)
    return array_evaluation_batches(images.images, images.labels, **options)
