"""What ProxyGML's gradient does in a training: how it pulls to the own class, and pushes others."""

import keras
import numpy as np
from keras import ops

from keras_proxygml import graph


class Gradients(keras.callbacks.Callback):
    """Measures the gradient of the class scores on the same training images, epoch by epoch.

    Args:
        half: The images.
        settings: Of ProxyGML, as `compare_losses` has them.
        every: Epochs between measurements. The first epoch is measured too.
        num_images: How many images, the first of a random order.

    Attributes:
        rows: A dictionary for each measurement, see `pull_and_push`.
    """

    def __init__(self, half, settings, every, num_images=1000):
        super().__init__()
        chosen = np.random.default_rng(0).permutation(len(half.labels))[:num_images]
        self.images, self.labels = half.inputs[0, chosen], half.labels[chosen]
        self.settings, self.every, self.rows = settings, every, []

    def on_epoch_end(self, epoch, logs=None):
        if epoch and (epoch + 1) % self.every:
            return
        similarities = self.model.predict(self.images, batch_size=250, verbose=0)
        row = pull_and_push(self.labels, similarities, self.settings)
        self.rows.append({"epoch": epoch + 1, **{key: round(v, 4) for key, v in row.items()}})


def pull_and_push(labels, similarities, settings):
    """Means over samples of what the loss does to the scores.

    Args:
        labels: `[B]`.
        similarities: Cosines of samples and proxies, `[B, C, N]`.
        settings: `ratio`, `num_proxies`, `sharpness`, and `masked` if it is False.

    Returns:
        A dictionary: `reached` classes beside the own one, the `pull` on the score of the own
        class, the `push` on those of all others together and its `share_of_nearest` ten classes,
        and the mean cosine to the proxies of the `own` class and of the `nearest` other one.
    """
    _, num_classes, num_proxies = similarities.shape
    k = int(np.ceil(settings["ratio"] * num_classes * num_proxies))
    subgraph = graph.knn_subgraph(ops.convert_to_tensor(similarities), labels, k)
    scores, reached = graph.reverse_label_propagation(similarities, subgraph)
    scores, reached = ops.convert_to_numpy(scores), ops.convert_to_numpy(reached).astype(bool)
    scale = settings["sharpness"] / num_proxies
    weights = np.exp(scale * scores)
    if settings.get("masked", True):
        weights = np.where(reached, weights, 0.0)
    shares = weights / weights.sum(1, keepdims=True)
    own = labels[:, None] == np.arange(num_classes)
    # A class without a kept proxy has no gradient, even if it takes part.
    pushes = np.sort(np.where(reached & ~own, scale * shares, 0.0))[:, ::-1]
    cosines = similarities.mean(-1)
    return {
        "reached": float((reached & ~own).sum(1).mean()),
        "pull": float((scale * (1 - shares[own])).mean()),
        "push": float(pushes.sum(1).mean()),
        "share_of_nearest": float((pushes[:, :10].sum(1) / pushes.sum(1)).mean()),
        "own": float(cosines[own].mean()),
        "nearest": float(np.where(own, -1.0, cosines).max(1).mean()),
    }
