"""A picture of the proxies that samples keep."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from keras_proxygml.checks import refuse
from keras_proxygml.graph import knn_subgraph
from keras_proxygml.types import Tensor
from keras_proxygml.visualization.fonts import families_for
from keras_proxygml.visualization.names import names_of, wrapped
from keras_proxygml.visualization.palette import RIGHT

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_subgraph(
    similarities: Tensor,
    labels: ArrayLike,
    k: int,
    *,
    class_names: Sequence[str] | Mapping[int | str, str] | None = None,
) -> "Figure":
    """Draws how similar the proxies are to samples, and which of them each subgraph keeps.

    Each sample has a panel with all proxies, sorted by similarity. Proxies of its class are green
    diamonds. Other proxies that are kept are black, and those left out are gray.

    Args:
        similarities: Cosines of a few samples, from a proxy layer. `[B, C, N]`.
        labels: Class of each sample. `[B]`, integers in `[0, C)`.
        k: How many proxies each sample keeps, ⌈ratio · C · N⌉. N < k ≤ C·N.
        class_names: Name of each class, `class_names[label]`, or `None`.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If k or a label is out of range, or a label has no name.
    """
    from matplotlib.figure import Figure

    labels = np.asarray(labels).reshape(-1)
    num_classes = np.shape(similarities)[1]
    if not ((labels >= 0) & (labels < num_classes)).all():
        received = f"labels from {labels.min()} to {labels.max()}"
        refuse("labels", f"be integers from 0 to {num_classes - 1}", received)
    names = names_of(labels, class_names) or [f"class {label}" for label in labels]
    kept = ops.convert_to_numpy(knn_subgraph(ops.convert_to_tensor(similarities), labels, k))
    similarities = ops.convert_to_numpy(similarities)
    figure = Figure(figsize=(9, 2 * len(labels) + 0.6), layout="constrained")
    panels = figure.subplots(len(labels), squeeze=False, sharex=True)[:, 0]
    families = families_for(names)
    for axes, of_sample, is_kept, label, name in zip(
        panels, similarities, kept, labels, names, strict=True
    ):
        is_own = np.zeros(of_sample.shape, bool)
        is_own[label] = True
        _draw(axes, of_sample, is_kept, is_own)
        axes.set_ylabel(wrapped(name, columns=24), fontfamily=families, parse_math=False)
    panels[0].set_title("similarity of each proxy, from the most similar on")
    panels[0].legend(fontsize=8)
    panels[-1].set_xlabel("rank of the proxy")
    return figure


def _draw(axes, similarities, is_kept, is_own):
    """Draws the proxies of one sample, `[C, N]` each."""
    ranks = np.empty(similarities.size, int)
    ranks[np.argsort(-similarities, axis=None, kind="stable")] = np.arange(ranks.size) + 1
    ranks = ranks.reshape(similarities.shape)
    groups = (
        ("left out", ~is_kept, {"color": "#c8c8c8", "s": 9}),
        ("kept", is_kept & ~is_own, {"color": "black", "s": 9}),
        ("kept, own class", is_own, {"color": RIGHT, "s": 26, "marker": "D"}),
    )
    for name, chosen, look in groups:
        axes.scatter(ranks[chosen], similarities[chosen], label=name, linewidths=0, **look)
    axes.grid(alpha=0.3)
