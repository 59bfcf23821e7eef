"""Image files with their classes: what the loaders return, and what they share."""

import dataclasses
import os

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
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
    class_names: tuple

    def __post_init__(self):
        paths = np.array([os.fspath(path) for path in self.paths], dtype=str)
        labels = np.asarray(self.labels)
        if labels.size and not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"labels are of dtype {labels.dtype}, allowed are integers. Cast whole numbers "
                "with labels.astype('int32'); turn names into numbers with numpy.unique(names, "
                "return_inverse=True)."
            )
        names = tuple(map(str, self.class_names))
        if labels.shape != paths.shape:
            raise ValueError(
                f"labels have shape {labels.shape} and paths {paths.shape}. Give one label for "
                "each path."
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
            raise ValueError(
                f"labels go from {labels.min()} to {labels.max()}, allowed are 0 to "
                f"{len(names) - 1}, as there are {len(names)} class_names. Number the classes from "
                "0 on and name each."
            )
        labels = labels.astype("int32")
        for field, value in (("paths", paths), ("labels", labels), ("class_names", names)):
            object.__setattr__(self, field, value)

    def __len__(self):
        return len(self.paths)


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
    """Names the images that are missing. Reads each folder once, asking no file.

    Args:
        paths: Where the images should be. `[n]`.
        advice: What to do about it, the end of the message.

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
        raise FileNotFoundError(
            f"{len(missing):,} of {len(paths):,} images are missing, the first is {missing[0]}. "
            f"{advice}"
        )


def check_counts(name, halves, expected, advice):
    """Compares the numbers of classes and images with the published ones.

    Args:
        name: What the data set is called.
        halves: The training and the test half, `ImageFiles`.
        expected: The number of classes and of images in `"train"` and in `"test"`.
        advice: What to do about a wrong one, the end of the message.

    Returns:
        The halves, a tuple.

    Raises:
        ValueError: If a number differs.
    """
    for (half, counts), files in zip(expected.items(), halves, strict=True):
        found = len(files.class_names), len(files)
        if found != counts:
            raise ValueError(
                f"The {half} half of {name} has {found[1]:,} images of {found[0]:,} classes, "
                f"expected are {counts[1]:,} images of {counts[0]:,} classes. {advice}"
            )
    return tuple(halves)


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
        header: Whether the first line is a head, to leave out.

    Returns:
        A list of lists: the numbers and the word.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If a line does not read so, with its number.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. It is in the images' archive: unpack it anew.")
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").rstrip().splitlines(), 1):
        words = line.strip().split(maxsplit=columns - 1)
        if number == 1 and header:
            continue
        if len(words) != columns or not all(map(str.isdecimal, words[:-1])):
            raise ValueError(
                f"Line {number} of {path} is {line!r}, expected is a word after {columns - 1} "
                "whole numbers. Unpack the file anew."
            )
        rows.append([*map(int, words[:-1]), words[-1]])
    return rows
