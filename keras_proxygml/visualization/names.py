"""Names of classes: which name a label has, and how it fits into a picture."""

import textwrap
import unicodedata

import numpy as np


def names_of(labels, class_names):
    """Finds the name of each label.

    Args:
        labels: Integers or strings. `[n]`.
        class_names: Names with `class_names[label]`: a list, an array or a dict; or `None`.

    Returns:
        A list of n strings, or `None` where labels are numbers and no names are given.

    Raises:
        ValueError: If a label has no name.
    """
    labels = np.asarray(labels)
    if class_names is None:
        return None if np.issubdtype(labels.dtype, np.number) else [str(x) for x in labels]
    names = class_names if hasattr(class_names, "keys") else dict(enumerate(class_names))
    nameless = [label for label in labels.tolist() if label not in names]
    if nameless:
        raise ValueError(
            f"`class_names` must have a name for each label. Received: {len(names)} names, and the "
            f"label {nameless[0]!r}. Give `class_names[label]` for all labels, or leave it out."
        )
    return [str(names[label]) for label in labels.tolist()]


def columns_of(text):
    """How wide a text is, in letters: Chinese and Japanese ones are as wide as two."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "FW") for letter in text)


def wrapped(name, columns, lines=3):
    """Breaks a name into a few lines and cuts what is left.

    Args:
        name: The name.
        columns: How many letters fit into a line.
        lines: How many lines there may be.

    Returns:
        The name with line breaks, and with an ellipsis where it is cut.
    """
    columns = columns * len(name) // max(columns_of(name), 1)
    parts = textwrap.wrap(name, max(columns, 1))
    if len(parts) > lines:
        parts[lines - 1] = parts[lines - 1][: columns - 1] + "…"
    return "\n".join(parts[:lines])
