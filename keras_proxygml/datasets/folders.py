"""Images in a folder for each class."""

import os
from pathlib import Path

import numpy as np

from keras_proxygml.checks import check_integer, refuse
from keras_proxygml.datasets.files import ImageFiles, group
from keras_proxygml.datasets.suffixes import (
    advice_for,
    is_of_another_kind,
    readable_suffixes,
    warn_of_left_out,
)

# What macOS and Synology add to archives and shares.
CLUTTER = ("__MACOSX", "@eaDir")


def image_folder(
    directory: str | os.PathLike[str], *, seed: int | None = None
) -> tuple[ImageFiles, ImageFiles]:
    """Finds images in a folder for each class, with the zero-shot split.

    The directory has one of two layouts:

    - class folders: half of the classes become the training half;
    - `train/` and `test/` with class folders of their own, as the official ProxyGML code wants
      them.

    Images are files that end in .jpg, .jpeg, .jpe, .jfif, .png, .apng, .webp, .bmp or .gif, in
    upper or lower case. Pillow 11.3 or later also reads .avif, and pillow-heif reads .heic, .heif
    and .hif. Other files are left out. So are the folders `__MACOSX` and `@eaDir`, and all names
    that begin with a dot. One warning counts the images of other kinds. Classes are in the order
    of their folders' names. Names that are whole numbers come first, ordered by value.

    Args:
        directory: The folder.
        seed: Which random half of the classes is for training, if there is no `train/`. An integer
            of 0 or more. By default, the first half in order is for training. That is a fair half
            only if the names of the folders say nothing about their images, so `seed=0` is often
            better. If the number of classes is odd, the test half has one more.

    Returns:
        `(train, test)`, two `ImageFiles` that share no class. Class names are the folders' names.
        Training takes two classes or more, so a folder without `train/` should have four.

    Raises:
        FileNotFoundError: If the directory or one of `train/` and `test/` is missing, or if a
            class folder has no image. The message says where the images are, if they are a level
            above or below.
        ValueError: If there are fewer than two classes, if `train/` and `test/` share a class, if
            `seed` is no integer of 0 or more, or if it is given although `train/` and `test/`
            split the classes.
    """
    folder = Path(directory)
    if seed is not None:
        check_integer("seed", seed, minimum=0, maximum=2**32 - 1)
    _check_folder(folder)
    if not has_split(folder):
        return _halves(folder, seed)
    if seed is not None:
        refuse(
            "seed",
            "be None if train/ and test/ split the classes",
            f"seed={seed} and {folder}",
            "Leave out the seed, or move all class folders into one folder.",
        )
    return read_split(folder)


def class_folders(directory: str | os.PathLike[str]) -> ImageFiles:
    """Finds images in a folder for each class, without a split.

    If there are `train/` and `test/` with class folders of their own, both are read.

    Args:
        directory: The folder, see `image_folder`.

    Returns:
        `ImageFiles`. Class names are the folders' names.

    Raises:
        FileNotFoundError: If the directory is missing, or a class folder has no image.
        ValueError: If there is no class folder, or `train/` and `test/` share a class.
    """
    folder = Path(directory)
    _check_folder(folder)
    if has_split(folder):
        train, test = read_split(folder)
        labels = np.append(train.labels, test.labels + len(train.class_names))
        paths = np.append(train.paths, test.paths)
        return ImageFiles(paths, labels, train.class_names + test.class_names)
    left_out: list[Path] = []
    files = _read(folder, left_out)
    warn_of_left_out(left_out)
    if not files.class_names:
        held, hint = _contents(folder, 0)
        refuse("directory", "hold a folder for each class", f"{folder}, which holds {held}", hint)
    return files


def has_split(folder):
    """Whether the folder holds `train/` or `test/` with class folders, not with images."""
    return any(_subfolders(folder / half) for half in ("train", "test"))


def _check_folder(folder):
    if not folder.is_dir():
        problem = "is a file" if folder.exists() else "does not exist"
        refuse(
            "directory",
            "hold a folder for each class",
            f"{folder}, which {problem}",
            "Check the path.",
            error=FileNotFoundError,
        )


def read_split(folder):
    """Reads `train/` and `test/`, see `image_folder`."""
    halves, left_out = [], []
    for half in ("train", "test"):
        if not _subfolders(folder / half):
            refuse(
                "directory",
                "hold class folders in both train/ and test/, or in neither",
                f"{folder}, where {half}/ is missing or has none",
                f"Put a folder into {half}/ for each class of that half. No class may be in both.",
                error=FileNotFoundError,
            )
        halves.append(_read(folder / half, left_out))
    warn_of_left_out(left_out)
    train, test = halves
    shared = [name for name in train.class_names if name in set(test.class_names)]
    if shared:
        refuse(
            "directory",
            "hold different classes in train/ and test/",
            f"{folder}, where {len(shared):,} classes are in both, for instance {shared[0]}",
            "Move all images into one folder of class folders. Then `image_folder` splits the "
            "classes.",
        )
    return train, test


def _halves(folder, seed):
    """Reads a folder of classes, half of them each."""
    files = _read(folder, left_out := [])
    warn_of_left_out(left_out)
    count = len(files.class_names)
    if count < 2:
        held, hint = _contents(folder, count)
        received = f"{folder}, which holds {held}"
        refuse("directory", "hold two class folders or more, to train and to test", received, hint)
    # RandomState, because NumPy never changes its stream, and may change that of default_rng.
    order = np.arange(count) if seed is None else np.random.RandomState(seed).permutation(count)
    training = np.isin(files.labels, order[: count // 2])
    names = dict(enumerate(files.class_names))
    return tuple(group(files.paths[h], files.labels[h], names) for h in (training, ~training))


def _contents(folder, class_folders):
    """Says what a folder of fewer than two classes holds, and what to do about it."""
    if class_folders:
        return "one class folder", "Add folders of other classes."
    readable = readable_suffixes()
    images = sum(path.suffix.lower() in readable for path in folder.iterdir())
    if not images:
        return "no folder and no image", "Put a folder of images for each class into it."
    return (
        f"{images:,} images and no class folder",
        "If they show one class of several, give the folder above, "
        f"{folder.resolve().parent}. Otherwise put the images of each class into a folder of its "
        "own.",
    )


def _read(folder, left_out):
    """Reads class folders into `ImageFiles`; adds images of other kinds to a list."""
    paths, labels, names, readable = [], [], _subfolders(folder), readable_suffixes()
    for label, name in enumerate(names):
        with os.scandir(folder / name) as entries:
            found = [entry.name for entry in entries if entry.is_file() and entry.name[0] != "."]
        files = [folder / name / file for file in sorted(found)]
        images = [path for path in files if path.suffix.lower() in readable]
        others = [path for path in files if is_of_another_kind(path, readable)]
        if not images:
            _refuse_class_folder(folder, name, names, readable, others)
        paths += images
        labels += [label] * len(images)
        left_out += others
    return ImageFiles(paths, labels, names)


def _refuse_class_folder(folder, name, names, readable, others):
    """Raises an error that says what to do about a class folder without a readable image."""
    inner = folder / name
    received = f"{inner}, which has none"
    if others:
        received += f", but {len(others):,} other images such as {others[0].name}"
        hint = advice_for(others).strip()
    elif not _subfolders(inner):
        hint = f"Put images directly into it, or move it out of {folder}."
    elif len(names) == 1:
        hint = f"It holds folders. If these are the classes, give {inner} instead."
    else:
        hint = (
            f"It holds folders. If these are the classes, move them up into {folder}. If it is a "
            "class, move the images in them up into it."
        )
    allowed = f"hold an image in each class folder, a file that ends in {', '.join(readable)}"
    refuse("directory", allowed, received, hint, error=FileNotFoundError)


def _subfolders(folder):
    """Lists the names of the folders in a folder: numbers by value, then the others."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        folders = (e.name for e in entries if e.is_dir() and not e.name.startswith("."))
        names = [name for name in folders if name not in CLUTTER]
    return sorted(names, key=lambda n: (not n.isdecimal(), int(n) if n.isdecimal() else 0, n))
