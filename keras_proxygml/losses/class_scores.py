"""What the losses with one score per class share."""

from keras import ops

from keras_proxygml.graph import masked_softmax_loss


def nearest_proxies(similarities):
    """Scores each class by its proxy nearest to the sample.

    Args:
        similarities: Cosines of samples and proxies. `[B, C, N]`, floats.

    Returns:
        `[B, C]`, in the dtype of `similarities`.
    """
    return ops.max(similarities, axis=-1)


def own_class(labels, num_classes):
    """Tells each sample's own class from the others.

    Args:
        labels: Class of each sample. `[B]`, integers.
        num_classes: C, how many classes there are.

    Returns:
        `[B, C]`, bool, one true a row; none for a label outside `[0, C)`.
    """
    return ops.equal(labels[:, None], ops.arange(num_classes, dtype="int32"))


def softmax_loss(logits, labels):
    """Cross-entropy of a softmax over all classes against the true class.

    Args:
        logits: `[B, C]`, float32 or float64.
        labels: Class of each sample. `[B]`, integers in `[0, C)`.

    Returns:
        Loss of each sample. `[B]`, in the dtype of `logits`; NaN for a label outside `[0, C)`.
    """
    return masked_softmax_loss(logits, ops.ones_like(logits, dtype="bool"), labels)
