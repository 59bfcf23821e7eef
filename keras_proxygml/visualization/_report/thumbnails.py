"""Small pictures of many images, packed into sheets."""

import base64
import io
import os
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from keras_proxygml.checks import refuse
from keras_proxygml.datasets import read_pixels
from keras_proxygml.datasets.decoding import why_unreadable

COLUMNS = 20  # of a sheet, which has as many rows
SIDES = (144, 128, 112, 96, 80, 64, 56, 48, 40, 32)  # of a thumbnail, in pixels
SAMPLE = 64  # images from which the size of a file is estimated
MARGIN = 0.85  # of the bytes, because that is an estimate
QUALITY = 72


class Thumbnails(NamedTuple):
    """Square pictures of some items.

    Attributes:
        items: Their numbers, rising. `[n]`.
        pixels: RGB. `[n, side, side, 3]`, uint8.
        unreadable: Reason of each item whose file can't be read.
    """

    items: np.ndarray
    pixels: np.ndarray
    unreadable: dict[int, str]

    def page_form(self) -> dict[str, Any]:
        """What the page needs: the sheets as data addresses, and the items in their order."""
        size = COLUMNS**2
        parts = [self.pixels[i : i + size] for i in range(0, len(self.pixels), size)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            sheets = [base64.b64encode(x).decode() for x in pool.map(_webp, parts)]
        return {
            "side": int(self.pixels.shape[1]),
            "columns": COLUMNS,
            "counts": [len(part) for part in parts],
            "items": self.items.tolist(),
            "sheets": sheets,
        }


class Images:
    """Images of all items: those of the test half, then those of the training half.

    Args:
        parts: Arrays or lists of arrays or paths.
    """

    def __init__(self, *parts):
        self.parts = parts
        self.starts = np.cumsum([0, *map(len, parts)])
        arrays = [x for x in parts if isinstance(x, np.ndarray)]
        lists = [x for part in parts if isinstance(part, list) for x in part if hasattr(x, "dtype")]
        # As in `plot_neighbors`: floats are from 0 to 1, or from 0 to 255.
        self.brightest = 1
        if any(x.dtype == np.uint8 or x.max() > 2 for x in arrays + lists):
            self.brightest = 255

    def __getitem__(self, item):
        part = int(np.searchsorted(self.starts, item, "right")) - 1
        return self.parts[part][item - self.starts[part]]

    def square(self, item: int, side: int) -> Any:
        """The center of an image as a square of at most this side, RGB, a `PIL.Image`."""
        from PIL import Image, ImageOps

        image = self[item]
        pixels = read_pixels(image) if isinstance(image, (str, os.PathLike)) else self._rgb(image)
        picture = Image.fromarray(pixels)
        side = min(side, *picture.size)
        return ImageOps.fit(picture, (side, side), Image.Resampling.BILINEAR)

    def _rgb(self, image):
        pixels = np.asarray(image)
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3, 4) or not pixels.size:
            allowed = "be [height, width, channels], with 1, 3 or 4 channels"
            refuse("images", allowed, f"an image of shape {np.shape(image)}", "Give RGB or gray.")
        if pixels.dtype != np.uint8:
            pixels = (pixels.astype("float32") * (255 / self.brightest)).round().clip(0, 255)
        pixels = pixels[..., :3].astype("uint8")
        return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def read_thumbnails(images: Images, items: np.ndarray, num_bytes: float) -> Thumbnails:
    """Reads each image once, and makes pictures as large as a number of bytes allows.

    Args:
        images: All images.
        items: Numbers of those to read, rising. `[n]`.
        num_bytes: How many bytes their sheets may have, about.

    Returns:
        `Thumbnails` of the items that can be read.
    """
    side = _side(images, items, num_bytes)
    read = _all(images, items, side)
    unreadable = {item: reason for item, (_, reason) in read.items() if reason is not None}
    kept = np.array([item for item in items.tolist() if item not in unreadable], int)
    pixels = np.stack([read[i][0] for i in kept]) if len(kept) else np.zeros((0, side, side, 3))
    return Thumbnails(kept, pixels.astype("uint8"), unreadable)


def squares(images: Images, items: Iterable[int], side: int) -> Iterator[Any]:
    """Squares of exactly this side, in order; None, and one warning, for files that can't be read.

    Args:
        images: All images.
        items: Numbers of those to read.
        side: Height and width in pixels.

    Yields:
        A `PIL.Image` in RGB, or None.
    """
    missing = []

    def read(item):
        try:
            return images.square(item, side).resize((side, side))
        except (OSError, ValueError):
            if not isinstance(images[item], (str, os.PathLike)):
                raise
            missing.append(str(images[item]))
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(read, items)
    warn_of_unreadable(missing)


def warn_of_unreadable(paths: list[str]) -> None:
    """Warns of files that can't be read, if there are any."""
    if paths:
        warnings.warn(
            f"{len(paths):,} images cannot be read, the first of which is {min(paths)}.",
            stacklevel=4,
        )


def _all(images, items, side):
    """Pixels, or the reason why there are none, of each item."""

    def read(item):
        try:
            return np.asarray(images.square(item, side).resize((side, side))), None
        except (OSError, ValueError):
            image = images[item]
            if not isinstance(image, (str, os.PathLike)):
                raise
            return None, why_unreadable(image) or "It was read at a second try."

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(items.tolist(), pool.map(read, items.tolist()), strict=True))


def _side(images, items, num_bytes):
    """The greatest side at which all items fit."""
    from PIL import Image

    some = items[np.linspace(0, len(items) - 1, min(len(items), SAMPLE)).astype(int)]
    squares = []
    for item in some.tolist():
        try:
            squares.append(images.square(item, SIDES[0]))
        except (OSError, ValueError):
            if not isinstance(images[item], (str, os.PathLike)):
                raise
    if not squares:
        return SIDES[-1]
    largest = max(square.width for square in squares)
    for side in (min(largest, side) for side in SIDES):
        some = [np.asarray(x.resize((side, side), Image.Resampling.BILINEAR)) for x in squares]
        if len(_webp(some)) / len(some) * len(items) <= MARGIN * num_bytes:
            return side
    return side


def _webp(pixels):
    """A sheet of squares, as the bytes of a WebP file."""
    from PIL import Image

    side = pixels[0].shape[0]
    rows = -(-len(pixels) // COLUMNS)
    sheet = np.zeros((rows, COLUMNS, side, side, 3), "uint8")
    sheet.reshape(-1, side, side, 3)[: len(pixels)] = pixels
    sheet = sheet.swapaxes(1, 2).reshape(rows * side, COLUMNS * side, 3)
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "webp", quality=QUALITY)
    return file.getvalue()
