"""Images in a folder for each class."""

import mimetypes
import os
import warnings
from pathlib import Path

import numpy as np

from keras_proxygml.datasets.files import ImageFiles, group

# What macOS and Synology add to archives and shares.
CLUTTER = ("__MACOSX", "@eaDir")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")  # what TensorFlow decodes


def image_folder(directory, *, seed=None):
    """Finds images in a folder for each class, with the zero-shot split.

    The directory is either a folder of class folders, of which half become the training half, or
    it has `train/` and `test/` with class folders of their own, as the official ProxyGML code
    wants them. Images are files ending in .jpg, .jpeg, .png, .webp, .bmp or .gif, in any case; what
    else lies about, whatever begins with a dot, and the folders `__MACOSX` and `@eaDir` are left
    out, with a warning if it is an image of another kind. Classes are in the order of their
    folders' names, by value where the name is a whole number and before all others.

    Args:
        directory: The folder.
        seed: Which random half of the classes is for training, where there is no `train/`. By
            default the first half in order. Of an odd number, the test half has one more.

    Returns:
        `(train, test)`, two `ImageFiles` that share no class. Class names are the folders' names.

    Raises:
        FileNotFoundError: If the directory or one of `train/` and `test/` is missing, or if a
            class folder has no image.
        ValueError: If there are fewer than two classes, if `train/` and `test/` share a class, or
            if a seed is given for a split that stands.
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is no folder. Give one that holds a folder of images for each class, or "
            "train/ and test/ with such class folders."
        )
    if not has_split(folder):
        return _halves(folder, seed)
    if seed is not None:
        raise ValueError(
            f"seed={seed} chooses a half of the classes, but {folder} is split already. Leave it "
            "out, or give a folder without train/ and test/."
        )
    return read_split(folder)


def has_split(folder):
    """Whether the folder holds `train/` or `test/` with class folders, not with images."""
    return any(_subfolders(folder / half) for half in ("train", "test"))


def read_split(folder):
    """Reads `train/` and `test/`, see `image_folder`."""
    halves = []
    for half in ("train", "test"):
        if not _subfolders(folder / half):
            raise FileNotFoundError(
                f"{folder / half} is missing or holds no class folders. The classes to "
                f"{half} with belong there, others than in the other half."
            )
        halves.append(_read(folder / half))
    train, test = halves
    shared = [name for name in train.class_names if name in set(test.class_names)]
    if shared:
        raise ValueError(
            f"train/ and test/ of {folder} share {len(shared):,} classes, the first is "
            f"{shared[0]}. A zero-shot split shares none. Move all images into one folder of "
            "class folders, and their classes are split."
        )
    return train, test


def _halves(folder, seed):
    """Reads a folder of classes, half of them each."""
    files = _read(folder)
    count = len(files.class_names)
    if count < 2:
        raise ValueError(
            f"{folder} has {count} class folders, needed are two or more: one half to train, one "
            "to test. Put the images of each class into a folder of its own."
        )
    # RandomState, since NumPy promises its stream for good and default_rng's only until changed.
    order = np.arange(count) if seed is None else np.random.RandomState(seed).permutation(count)
    training = np.isin(files.labels, order[: count // 2])
    names = dict(enumerate(files.class_names))
    return tuple(group(files.paths[h], files.labels[h], names) for h in (training, ~training))


def _read(folder):
    """Reads class folders into `ImageFiles`."""
    paths, labels, names, others = [], [], _subfolders(folder), []
    for label, name in enumerate(names):
        files = sorted(path for path in (folder / name).iterdir() if path.name[0] != ".")
        images = [path for path in files if path.suffix.lower() in SUFFIXES]
        others += [path for path in files if _is_of_another_kind(path)]
        if not images:
            raise FileNotFoundError(
                f"The class folder {folder / name} has no image, that is no file ending in "
                f"{', '.join(SUFFIXES)}. Remove the folder, or put the images directly into it."
            )
        paths += images
        labels += [label] * len(images)
    if others:
        warnings.warn(
            f"Left out {len(others):,} images of {folder}, such as {others[0]}, which TensorFlow "
            f"does not read. Convert them to one of {', '.join(SUFFIXES)}.",
            stacklevel=1,
        )
    return ImageFiles(paths, labels, names)


def _subfolders(folder):
    """Lists the names of the folders in a folder: numbers by value, then the others."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        folders = (e.name for e in entries if e.is_dir() and not e.name.startswith("."))
        names = [name for name in folders if name not in CLUTTER]
    return sorted(names, key=lambda n: (not n.isdecimal(), int(n) if n.isdecimal() else 0, n))


def _is_of_another_kind(path):
    kind = mimetypes.guess_type(path.name)[0] or ""
    return kind.startswith("image/") and path.suffix.lower() not in SUFFIXES
