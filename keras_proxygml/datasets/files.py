"""Image files with their classes: what the loaders return, and what they share."""

import dataclasses
import os
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import refuse

UNPACK_AGAIN = "Unpack the archive of the images again."


@dataclasses.dataclass(frozen=True, eq=False, init=False)
class ImageFiles:
    """Paths of image files and the class of each: one half of a zero-shot split.

    `len(files)` is the number of images n. `training_batches` and `evaluation_batches` read them.

    Args:
        paths: Where the images are. `[n]`, strings.
        labels: Class of each image. `[n]`, integers in `[0, C)`; kept as int32.
        class_names: Name of each of the C classes: image i shows `class_names[labels[i]]`.

    Raises:
        ValueError: If there is not one integer label for each path, or a label has no name.

    Example:

    >>> files = ImageFiles(["a.jpg", "b.jpg", "c.jpg"], [0, 1, 0], ["cat", "dog"])
    >>> len(files), files.class_names[files.labels[1]]
    (3, 'dog')
    """

    paths: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str]],
        labels: ArrayLike,
        class_names: Iterable[str],
    ) -> None:
        path_array = np.array([os.fspath(path) for path in paths], dtype=str)
        names = tuple(map(str, class_names))
        checked = _check_labels(np.asarray(labels), path_array, names)
        # The class is frozen, so plain assignments would fail.
        for field, value in (("paths", path_array), ("labels", checked), ("class_names", names)):
            object.__setattr__(self, field, value)

    def __len__(self) -> int:
        return len(self.paths)


def _check_labels(labels, paths, names):
    """Returns the labels as int32, or raises unless each path has one and each label a name."""
    if labels.size and not np.issubdtype(labels.dtype, np.integer):
        refuse(
            "labels",
            "be integers",
            f"dtype {labels.dtype}",
            "Cast whole numbers with labels.astype('int32'). Turn names into numbers with "
            "numpy.unique(names, return_inverse=True).",
        )
    if labels.shape != paths.shape:
        allowed = f"have shape {paths.shape}, as `paths` has"
        refuse("labels", allowed, f"shape {labels.shape}", "Give one label for each path.")
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
        refuse(
            "labels",
            f"be from 0 to {len(names) - 1}, because there are {len(names)} `class_names`",
            f"labels from {labels.min()} to {labels.max()}",
            "Number the classes from 0 on, and give a name for each.",
        )
    return labels.astype("int32")


def group(paths, classes, names):
    """Numbers the classes that occur from 0 on, in their order, and brings their images together.

    Args:
        paths: Where the images are. `[n]`.
        classes: What tells the class of each, numbers or strings. `[n]`.
        names: A dict of the classes' names.

    Returns:
        `ImageFiles`. Images of a class are adjacent and keep their order.
    """
    present, labels = np.unique(np.asarray(classes), return_inverse=True)
    order = np.argsort(labels, kind="stable")
    return ImageFiles(np.asarray(paths)[order], labels[order], [names[c] for c in present.tolist()])


def split(paths, classes, names, first_test_class):
    """Groups the classes below a number into a training half and the others into a test half."""
    paths, classes = np.asarray(paths), np.asarray(classes)
    training = classes < first_test_class
    return tuple(group(paths[half], classes[half], names) for half in (training, ~training))


def check_present(paths, advice):
    """Raises unless all images exist. Lists each folder once, which is faster than asking files.

    Args:
        paths: Where the images should be. `[n]`.
        advice: What to do about it, sentences.

    Raises:
        FileNotFoundError: If any is missing.
    """
    folders = {}
    missing = []
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        if name not in folders[folder]:
            missing.append(path)
    if missing:
        refuse(
            "directory",
            f"hold all {len(paths):,} images that its lists name",
            f"{len(missing):,} missing images, the first of which is {missing[0]}",
            advice,
            error=FileNotFoundError,
        )


def check_counts(name, folder, halves, expected, advice):
    """Compares the numbers of classes and images with the published ones.

    Args:
        name: What the data set is called.
        folder: Where it is.
        halves: The training and the test half, `ImageFiles`.
        expected: The number of classes and of images in `"train"` and in `"test"`.
        advice: What to do about a wrong one, sentences.

    Returns:
        The halves, a tuple.

    Raises:
        ValueError: If a number differs.
    """
    for (half, counts), files in zip(expected.items(), halves, strict=True):
        found = len(files.class_names), len(files)
        if found != counts:
            refuse(
                "directory",
                f"hold {counts[1]:,} images of {counts[0]:,} classes in the {half} half of {name}",
                f"{folder} with {found[1]:,} images of {found[0]:,} classes",
                advice,
            )
    return tuple(halves)


def check_file(path, advice):
    """Raises a FileNotFoundError with advice unless a file of a data set exists."""
    if not path.is_file():
        allowed, received = f"hold {path.name}", f"{path.parent} without it"
        refuse("directory", allowed, received, advice, error=FileNotFoundError)


def find_root(folder, archive_folder, listing):
    """Looks for a list in the folder and in the one that the archive unpacks to; None if absent."""
    for root in (folder, folder / archive_folder):
        if (root / listing).is_file():
            return root
    return None


def read_table(path, columns, header=False):
    """Reads lines of whole numbers and one word that may hold blanks.

    Args:
        path: The text file.
        columns: How many numbers and words a line has.
        header: Whether to leave out the first line, which names the columns.

    Returns:
        A list of lists: the numbers and the word.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If a line is different. The message has its number.
    """
    check_file(path, UNPACK_AGAIN)
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").rstrip().splitlines(), 1):
        words = line.strip().split(maxsplit=columns - 1)
        if number == 1 and header:
            continue
        if len(words) != columns or not all(map(str.isdecimal, words[:-1])):
            refuse(
                path.name,
                f"have {columns - 1} whole numbers and a word in each line",
                f"{line!r} in line {number} of {path}",
                UNPACK_AGAIN,
            )
        rows.append([*map(int, words[:-1]), words[-1]])
    return rows
