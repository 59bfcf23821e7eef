"""Images in a folder for each class."""

import os
from pathlib import Path

import numpy as np

from keras_proxygml.datasets.files import ImageFiles, group
from keras_proxygml.datasets.suffixes import (
    advice_for,
    is_of_another_kind,
    readable_suffixes,
    warn_of_left_out,
)

# What macOS and Synology add to archives and shares.
CLUTTER = ("__MACOSX", "@eaDir")


def image_folder(directory, *, seed=None):
    """Finds images in a folder for each class, with the zero-shot split.

    The directory is either a folder of class folders, of which half become the training half, or
    it has `train/` and `test/` with class folders of their own, as the official ProxyGML code
    wants them. Images are files ending in .jpg, .jpeg, .jpe, .jfif, .png, .apng, .webp, .bmp or
    .gif, in upper or lower case. With Pillow 11.3 or later, .avif is read too, and with
    pillow-heif, .heic, .heif and .hif. Other files are left out, and so are the folders
    `__MACOSX` and `@eaDir` and whatever begins with a dot. One warning counts the images of other
    kinds. Classes are in the order of their folders'
    names, by value where the name is a whole number and before all others.

    Args:
        directory: The folder.
        seed: Which random half of the classes is for training, where there is no `train/`. An
            integer. By default the first half in order, which is a fair half only where the names
            of the folders say nothing about what they hold: `seed=0` draws one. Of an odd number,
            the test half has one more.

    Returns:
        `(train, test)`, two `ImageFiles` that share no class. Class names are the folders' names.
        Training takes two classes or more, so a folder without `train/` should have four.

    Raises:
        FileNotFoundError: If the directory or one of `train/` and `test/` is missing, or if a
            class folder has no image. The message says where the images are, if they are a level
            above or below.
        ValueError: If there are fewer than two classes, if `train/` and `test/` share a class, or
            if a seed is given for a split that stands.
    """
    folder = Path(directory)
    if not folder.is_dir():
        problem = "is a file" if folder.exists() else "does not exist"
        raise FileNotFoundError(
            "The images must be in a folder that holds a folder for each class. Received: "
            f"{folder}, which {problem}. Check the path."
        )
    if not has_split(folder):
        return _halves(folder, seed)
    if seed is not None:
        raise ValueError(
            f"`seed` must be None where train/ and test/ split the classes. Received: seed={seed} "
            f"and {folder}. Leave out the seed, or move all class folders into one folder."
        )
    return read_split(folder)


def has_split(folder):
    """Whether the folder holds `train/` or `test/` with class folders, not with images."""
    return any(_subfolders(folder / half) for half in ("train", "test"))


def read_split(folder):
    """Reads `train/` and `test/`, see `image_folder`."""
    halves, left_out = [], []
    for half in ("train", "test"):
        if not _subfolders(folder / half):
            raise FileNotFoundError(
                f"{folder / half} is missing or holds no class folders. Put the classes to {half} "
                "with there, a folder for each. The other half must not have them too."
            )
        halves.append(_read(folder / half, left_out))
    warn_of_left_out(left_out)
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
    files = _read(folder, left_out := [])
    warn_of_left_out(left_out)
    count = len(files.class_names)
    if count < 2:
        raise ValueError(
            "There must be two or more class folders: one half is to train, the other to test. "
            f"Received: {folder}, which holds {_contents(folder, count)}."
        )
    # RandomState, since NumPy promises its stream for good and default_rng's only until changed.
    order = np.arange(count) if seed is None else np.random.RandomState(seed).permutation(count)
    training = np.isin(files.labels, order[: count // 2])
    names = dict(enumerate(files.class_names))
    return tuple(group(files.paths[h], files.labels[h], names) for h in (training, ~training))


def _contents(folder, class_folders):
    """Tells what a folder of fewer than two classes holds, and what to do about it."""
    if class_folders:
        return "one class folder. Add folders of other classes"
    readable = readable_suffixes()
    images = sum(path.suffix.lower() in readable for path in folder.iterdir())
    if not images:
        return "no folder and no image. Put a folder of images for each class into it"
    return (
        f"{images:,} images and no class folder. If they show one class of several, give the "
        f"folder above, {folder.resolve().parent}. Otherwise put the images of each class into a "
        "folder of its own"
    )


def _read(folder, left_out):
    """Reads class folders into `ImageFiles`; adds images of other kinds to a list."""
    paths, labels, names, readable = [], [], _subfolders(folder), readable_suffixes()
    for label, name in enumerate(names):
        files = sorted(path for path in (folder / name).iterdir() if path.name[0] != ".")
        images = [path for path in files if path.suffix.lower() in readable]
        others = [path for path in files if is_of_another_kind(path, readable)]
        if not images:
            raise FileNotFoundError(_no_image(folder, name, names, readable, others))
        paths += images
        labels += [label] * len(images)
        left_out += others
    return ImageFiles(paths, labels, names)


def _no_image(folder, name, names, readable, others):
    """Says what to do about a class folder without an image that can be read."""
    inner = folder / name
    found = f", but {len(others):,} such as {others[0].name}" if others else ""
    message = f"The class folder {inner} has no image, that is no file ending in "
    message += f"{', '.join(readable)}{found}. "
    if others:
        return message + advice_for(others).strip()
    if not _subfolders(inner):
        return message + f"Put images directly into it, or move it out of {folder}."
    if len(names) == 1:
        return message + f"It holds folders: if these are the classes, give {inner} instead."
    return message + (
        f"It holds folders: if these are the classes, move them up into {folder}. If it is a "
        "class, move the images in them up into it."
    )


def _subfolders(folder):
    """Lists the names of the folders in a folder: numbers by value, then the others."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        folders = (e.name for e in entries if e.is_dir() and not e.name.startswith("."))
        names = [name for name in folders if name not in CLUTTER]
    return sorted(names, key=lambda n: (not n.isdecimal(), int(n) if n.isdecimal() else 0, n))
