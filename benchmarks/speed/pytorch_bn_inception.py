"""BN-Inception and the loss of ProxyGML in plain PyTorch, for `backbone_speed`."""

import math

import torch
from torch import nn
from torch.nn import functional

from keras_proxygml.applications.bn_inception import BLOCKS


class BNInception(nn.Module):
    """From images `[B, 3, H, W]` to unit vectors `[B, D]`; modules bear the official names."""

    def __init__(self, embedding_size):
        super().__init__()
        self._add("conv1_7x7_s2", 3, 64, 7, 2)
        self._add("conv2_3x3_reduce", 64, 64)
        channels = self._add("conv2_3x3", 64, 192, 3)
        for name, branches in BLOCKS.items():
            channels = self._add_block(name, channels, *branches)
        self.embedding = nn.Linear(channels, embedding_size)

    def _add(self, name, inputs, outputs, size=1, stride=1):
        self.add_module(name, nn.Conv2d(inputs, outputs, size, stride, size // 2))
        self.add_module(f"{name}_bn", nn.BatchNorm2d(outputs))
        return outputs

    def _add_block(self, name, channels, single, triple, double, projection):
        stride = 2 if projection is None else 1
        self._add(f"{name}_3x3_reduce", channels, triple[0])
        total = self._add(f"{name}_3x3", *triple, 3, stride)
        self._add(f"{name}_double_3x3_reduce", channels, double[0])
        self._add(f"{name}_double_3x3_1", *double, 3)
        total += self._add(f"{name}_double_3x3_2", double[1], double[1], 3, stride)
        if single is not None:
            total += self._add(f"{name}_1x1", channels, single)
        if projection is None:
            return total + channels
        return total + self._add(f"{name}_pool_proj", channels, projection[1])

    def forward(self, images):
        x = self._convolve(images, "conv1_7x7_s2")
        x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
        x = self._convolve(x, "conv2_3x3_reduce", "conv2_3x3")
        x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
        for name, (single, _, _, projection) in BLOCKS.items():
            x = self._block(x, name, single, projection)
        return functional.normalize(self.embedding(x.mean((2, 3))))

    def _convolve(self, x, *names):
        for name in names:
            x = getattr(self, f"{name}_bn")(getattr(self, name)(x))
            x = functional.relu(x, inplace=True)
        return x

    def _block(self, x, name, single, projection):
        outputs = []
        if single is not None:
            outputs.append(self._convolve(x, f"{name}_1x1"))
        outputs.append(self._convolve(x, f"{name}_3x3_reduce", f"{name}_3x3"))
        double = ("double_3x3_reduce", "double_3x3_1", "double_3x3_2")
        outputs.append(self._convolve(x, *(f"{name}_{part}" for part in double)))
        if projection is None:
            outputs.append(functional.max_pool2d(x, 3, 2, ceil_mode=True))
        else:
            pool = functional.avg_pool2d if projection[0] == "avg" else functional.max_pool2d
            outputs.append(self._convolve(pool(x, 3, 1, 1), f"{name}_pool_proj"))
        return torch.cat(outputs, 1)


def proxy_gml_loss(embeddings, proxies, labels, num_classes, ratio, separation):
    """The formulation of the official code: label matrices, and zero for 'not reached'.

    Args:
        embeddings: Unit vectors. `[B, D]`.
        proxies: `[D, C·N]`.
        labels: `[B]`, int64.
        num_classes: C.
        ratio: Share of all proxies that a sample keeps.
        separation: Factor of the proxies' own loss.

    Returns:
        `[]`
    """
    proxies = functional.normalize(proxies, dim=0)
    total = proxies.shape[1]
    classes = torch.arange(num_classes).repeat_interleave(total // num_classes)  # [C·N]
    one_hot = functional.one_hot(classes, num_classes).float()  # [C·N, C]
    similarities = embeddings @ proxies  # [B, C·N]
    with torch.no_grad():
        ranked = similarities + 1000 * one_hot.T[labels]
        nearest = ranked.topk(math.ceil(ratio * total), dim=1).indices
        mask = torch.zeros_like(similarities).scatter_(1, nearest, 1)
    scores = (similarities * mask) @ one_hot  # [B, C]
    exponentials = scores.exp() * (scores != 0)
    shares = exponentials / (exponentials.sum(1, keepdim=True) + 1e-8)
    loss = -(shares.gather(1, labels[:, None]) + 1e-20).log().mean()
    own_scores = (proxies.T @ proxies) @ one_hot  # [C·N, C]
    return loss + separation * functional.cross_entropy(own_scores, classes)
