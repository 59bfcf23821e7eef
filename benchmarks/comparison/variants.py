"""ProxyGML's loss with parts of the method changed."""

import math

from keras import ops

from keras_proxygml import graph
from keras_proxygml.losses import ProxyLoss
from keras_proxygml.losses.inputs import check_similarities


class ProxyGMLVariant(ProxyLoss):
    """ProxyGML with changes that were tried and are not in the library.

    Args:
        ratio, scale, masked: As in `ProxyGMLLoss`.
        margin: Is subtracted from the cosines of the own class.
        unreached: `"bound"` lets the classes without a kept proxy take part with the greatest score
            that they can have, N times the sample's least kept cosine of another class.
        positives: Whether a sample always keeps the proxies of its own class, as in the paper.
        push: Factor of the gradient that pushes a sample away from other classes.
    """

    def __init__(
        self, ratio, scale, masked=True, margin=0.0, unreached=None, positives=True, push=1.0
    ):
        super().__init__(name="proxy_gml_variant")
        self.ratio, self.scale, self.masked, self.margin = ratio, scale, masked, margin
        self.unreached, self.positives, self.push = unreached, positives, push

    def per_sample(self, labels, similarities):
        labels, similarities = check_similarities(labels, similarities)
        _, num_classes, num_proxies = similarities.shape
        k = math.ceil(self.ratio * num_classes * num_proxies)
        own = ops.equal(labels[:, None], ops.arange(num_classes))  # [B, C]
        if self.positives:
            subgraph = graph.knn_subgraph(similarities, labels, k)
        else:
            flat = ops.reshape(ops.stop_gradient(similarities), (-1, num_classes * num_proxies))
            subgraph = similarities >= ops.top_k(flat, k)[0][:, -1][:, None, None]
        similarities = similarities - self.margin * ops.cast(own, similarities.dtype)[..., None]
        scores, reached = graph.reverse_label_propagation(similarities, subgraph)
        if self.unreached == "bound":
            kept = ops.logical_and(subgraph, ops.logical_not(own)[..., None])
            least = ops.min(ops.where(kept, ops.stop_gradient(similarities), 1.0), axis=(1, 2))
            scores = ops.where(reached, scores, num_proxies * least[:, None])
        pushed = self.push * scores + (1 - self.push) * ops.stop_gradient(scores)
        scores = ops.where(own, scores, pushed)
        # The own class takes part, reached or not: without it there is no cross-entropy.
        takes_part = ops.logical_or(reached, own)
        if self.unreached == "bound" or not self.masked:
            takes_part = ops.ones_like(reached)
        return graph.masked_softmax_loss(self.scale * scores, takes_part, labels)
