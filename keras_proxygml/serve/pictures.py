"""Pictures that come and go: what is decoded of an upload, and thumbnails of the items."""

import functools
import io
import os
import threading
from pathlib import Path

import numpy as np

from keras_proxygml.datasets.decoding import (
    decode_by_pillow,
    open_image,
    orientation_of,
    size_of,
    turn_upright,
)

SIDES = {"small": 320, "large": 1280}  # of thumbnails, in pixels
CACHED = 512  # small thumbnails in memory, of about 15 kB each


class TooLargeError(ValueError):
    """An upload has more pixels than are decoded. The message is for the person who sent it."""


def check_pixels(contents: bytes, most: int) -> int:
    """Raises if a picture would take too much memory. Only its header is read.

    Args:
        contents: The bytes of the file.
        most: How many pixels it may have.

    Returns:
        How many it has, 0 if that is unknown.

    Raises:
        TooLargeError: If it has more pixels. A file that is no picture passes.
    """
    try:
        size = size_of(contents)
    except Exception as error:  # Pillow's own limit, which is greater
        raise TooLargeError(_too_large("too many", most)) from error
    width, height = size or (0, 0)
    if width * height > most:
        raise TooLargeError(_too_large(f"{width:,} × {height:,}", most))
    return width * height


def _too_large(has, most):
    return (
        f"The picture is too large: it has {has} pixels, and {most / 1e6:,.1f} million are "
        "allowed. Make it smaller and try again."
    )


class Thumbnails:
    """Small JPEGs of the files that the ids of items name.

    The caller must make sure that a path is that of an item.

    Args:
        folder: Where relative paths start from.
        most: How many pixels a file may have.
    """

    def __init__(self, folder: str | os.PathLike[str], most: int) -> None:
        self.folder, self._most = Path(folder).absolute(), most
        self._decoding = threading.Semaphore(2)  # which bounds the memory
        self._cached = functools.lru_cache(CACHED)(self._make)

    def path_of(self, id_: int | str) -> Path | None:
        """The file that an id names, or None if it names none."""
        if not isinstance(id_, str) or "\0" in id_:
            return None
        path = self.folder / id_
        try:
            return path if path.is_file() else None
        except OSError:  # for instance a name that is too long
            return None

    def make(self, path: Path, size: str) -> bytes | None:
        """A JPEG of a file, upright and on white, or None if the file can't be read.

        Args:
            path: What `path_of` returns.
            size: "small" or "large".
        """
        try:
            changed = path.stat().st_mtime_ns
            make = self._cached if size == "small" else self._make
            return make(path, changed, SIDES[size])
        except Exception:  # a damaged file makes Pillow raise nearly anything
            return None

    def _make(self, path, changed, side):
        with self._decoding:
            contents = path.read_bytes()
            check_pixels(contents, self._most)
            return _thumbnail(contents, side)


def _thumbnail(contents, side):
    from PIL import Image

    with open_image(contents) as image:
        if image.format == "JPEG":
            image.draft("RGB", (side, side))  # decodes at up to an eighth of its size
            pixels = turn_upright(np.asarray(image.convert("RGB")), orientation_of(contents))
        else:
            pixels = decode_by_pillow(contents)
    small = Image.fromarray(pixels)
    small.thumbnail((side, side))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=82)
    return file.getvalue()
