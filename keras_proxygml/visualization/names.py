"""Names of classes in a picture."""

import textwrap
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.checks import refuse


def names_of(
    labels: ArrayLike, class_names: Sequence[str] | Mapping[int | str, str] | None
) -> list[str] | None:
    """Finds the name of each label.

    Args:
        labels: Integers or strings. `[n]`.
        class_names: Names with `class_names[label]`: a list, an array, a dict, or `None`.

    Returns:
        A list of n strings, or `None` if labels are numbers and no names are given.

    Raises:
        ValueError: If a label has no name.
    """
    labels = np.asarray(labels)
    if class_names is None:
        return None if np.issubdtype(labels.dtype, np.number) else [str(x) for x in labels]
    names = dict(class_names if hasattr(class_names, "keys") else enumerate(class_names))
    nameless = [label for label in labels.tolist() if label not in names]
    if nameless:
        received = f"{len(names)} names, and the label {nameless[0]!r}"
        hint = "Give `class_names[label]` for all labels, or leave it out."
        refuse("class_names", "have a name for each label", received, hint)
    return [str(names[label]) for label in labels.tolist()]


def columns_of(text: str) -> int:
    """The width of a text in Latin letters. A Chinese or Japanese letter is as wide as two."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "FW") for letter in text)


def wrapped(name: str, columns: int, lines: int = 3) -> str:
    """Breaks a name into a few lines and cuts the rest.

    Args:
        name: The name.
        columns: How many letters fit into a line.
        lines: How many lines there may be.

    Returns:
        The name with line breaks. It ends in an ellipsis if it is cut.
    """
    columns = columns * len(name) // max(columns_of(name), 1)
    parts = textwrap.wrap(name, max(columns, 1))
    if len(parts) > lines:
        parts[lines - 1] = parts[lines - 1][: columns - 1] + "…"
    return "\n".join(parts[:lines])
