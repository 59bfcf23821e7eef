"""Photographs in miniature for the test of the wheel: `python small_photos.py photos`."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from keras_proxygml.datasets import glyphs


def write_photos(folder, classes=8, images=6, size=48):
    """Writes characters in color, in a folder for each class. Classes of both halves are there."""
    rng = np.random.default_rng(0)
    for half, (drawings, labels) in zip(("a", "b"), glyphs(), strict=True):
        for label in range(classes // 2):
            for number in np.flatnonzero(labels == label)[:images]:
                ink, paper = rng.uniform(0, 120, 3), rng.uniform(140, 255, 3)
                drawing = Image.fromarray(drawings[number, ..., 0]).resize((size, size))
                share = np.asarray(drawing)[..., None] / 255
                write(
                    Path(folder) / f"{half}{label}/{number}.jpg", share * ink + (1 - share) * paper
                )
    return Path(folder)


def write(path, pixels):
    """Writes one image, and its folder if that is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(path)
    return path


if __name__ == "__main__":
    write_photos(sys.argv[1])
    noise = np.random.default_rng(1).uniform(0, 255, (3, 48, 48, 3))
    for place, pixels in enumerate(noise):
        write(Path(f"more/strangers/{place}.jpg"), pixels)
