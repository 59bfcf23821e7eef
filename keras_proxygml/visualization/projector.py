"""Files for the projector of TensorBoard."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import (
    check_integer,
    check_labels,
    check_same_length,
    check_vectors,
    refuse,
)
from keras_proxygml.datasets import ImageFiles
from keras_proxygml.visualization._report.inputs import images_of, is_path
from keras_proxygml.visualization._report.thumbnails import Images, squares
from keras_proxygml.visualization.names import names_of

MOST_PIXELS = 8192  # sides of the largest texture that browsers take
NAME = "embeddings"
CONFIG = """embeddings {{
  tensor_name: "{name}"
  tensor_path: "tensors.tsv"
  metadata_path: "metadata.tsv"
{sprite}}}
"""
SPRITE = """  sprite {{
    image_path: "sprite.png"
    single_image_dim: {side}
    single_image_dim: {side}
  }}
"""


def projector_files(
    folder: str | os.PathLike[str],
    embeddings: ArrayLike,
    labels: ArrayLike | None = None,
    images: Any = None,
    *,
    class_names: Sequence[str] | Mapping[int | str, str] | None = None,
    side: int = 64,
) -> Path:
    """Writes what the projector of TensorBoard reads: `tensorboard --logdir FOLDER`.

    The files are `tensors.tsv`, `metadata.tsv`, `projector_config.pbtxt` and, with images,
    `sprite.png`. The projector runs PCA, t-SNE and UMAP in the browser.

    Args:
        folder: Where to write. It is made if it is missing.
        embeddings: Vectors. `[M, D]`.
        labels: Class of each, `[M]`, integers or strings. None takes those of `ImageFiles`.
        images: Images to show as points, as in `report`, or None.
        class_names: Name of each class, `class_names[label]`.
        side: Height and width of each picture in pixels, 8 to 512. It becomes smaller if all
            pictures together would be larger than 8,192 pixels, which browsers can't show.

    Returns:
        The folder.

    Raises:
        ValueError: If there are no labels, lengths differ, or there are too many pictures.

    Warns:
        UserWarning: For image files that can't be read, which become gray squares.
    """
    vectors = check_vectors("embeddings", embeddings)
    check_integer("side", side, 8, 512)
    if isinstance(images, ImageFiles) and labels is None:
        labels = images.labels
        class_names = images.class_names if class_names is None else class_names
    classes = check_labels("labels", [] if labels is None else labels)
    check_same_length("labels", classes, "embeddings", vectors, "Give one label per embedding.")
    titles = None
    if images is not None:
        images = images_of("images", images)
        check_same_length("images", images, "embeddings", vectors, "Give one per embedding.")
        titles = list(map(str, images)) if is_path(images[0]) else None
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / "tensors.tsv", vectors.astype("float32"), fmt="%.8g", delimiter="\t")
    names = names_of(classes, class_names) or [str(label) for label in classes.tolist()]
    _write_metadata(folder / "metadata.tsv", names, titles)
    sprite = ""
    if images is not None:
        sprite = SPRITE.format(side=_write_sprite(folder / "sprite.png", images, side))
    config = CONFIG.format(name=NAME, sprite=sprite)
    (folder / "projector_config.pbtxt").write_text(config, encoding="utf-8")
    return folder


def _write_metadata(path, names, titles):
    """One line per embedding. A file of one column has no head, as TensorBoard wants it."""
    rows = [[name] for name in names]
    if titles:
        rows = [["class", "file"], *map(list, zip(names, titles, strict=True))]
    # A cell can hold neither a tab nor a line break. An empty line would be left out.
    lines = ["\t".join(" ".join(cell.split()) or "–" for cell in row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _write_sprite(path, images, side):
    """Writes all pictures into one, row by row, and returns their side."""
    from PIL import Image

    columns = math.ceil(math.sqrt(len(images)))
    side = min(side, MOST_PIXELS // columns)
    if not side:
        most = f"{MOST_PIXELS**2:,}"
        refuse("images", f"be at most {most}", f"{len(images):,}", "Give a sample of them.")
    # The projector expects as many rows as columns.
    sprite = Image.new("RGB", (columns * side, columns * side), "gray")
    for i, square in enumerate(squares(Images(images), range(len(images)), side)):
        if square is not None:
            sprite.paste(square, (i % columns * side, i // columns * side))
    sprite.save(path)
    return side
