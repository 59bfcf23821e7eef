"""Heads in PyTorch that `head_speed` compares with ours. See `head_contenders`."""

import torch
from torch.nn import functional


def step_of(loss, *leaves):
    """A step that computes a loss and its gradients to the leaves, dense."""

    def step():
        return torch.autograd.grad(loss(), leaves)

    return step


def pytorch_soft_triple(case, arrays):
    """pytorch-metric-learning's `SoftTripleLoss` with N centres a class."""
    from pytorch_metric_learning.losses import SoftTripleLoss

    embeddings, proxies, labels = tensors(arrays)
    head = SoftTripleLoss(case.num_classes, case.size, case.num_proxies)
    head.fc.data = proxies.detach().reshape(-1, case.size).T.contiguous()
    return step_of(lambda: head(embeddings, labels), embeddings, head.fc)


def pytorch_proxy_anchor(case, arrays):
    """pytorch-metric-learning's `ProxyAnchorLoss`, which has one proxy a class."""
    from pytorch_metric_learning.losses import ProxyAnchorLoss

    embeddings, proxies, labels = tensors(arrays)
    head = ProxyAnchorLoss(case.num_classes, case.size)
    head.proxies.data = proxies.detach()[:, 0].contiguous()
    return step_of(lambda: head(embeddings, labels), embeddings, head.proxies)


def pytorch_literal(case, arrays):
    """The paper's formulation as `literal`, in PyTorch."""
    embeddings, proxies, labels = tensors(arrays)
    classes = torch.arange(case.num_classes).repeat_interleave(case.num_proxies)
    class_matrix = functional.one_hot(classes, case.num_classes).float()  # [C·N, C]
    one_hot = functional.one_hot(labels, case.num_classes).float()

    def cross_entropy(scores, one_hot, taking_part):
        weights = torch.exp(scores) * taking_part
        shares = weights / (1e-8 + weights.sum(dim=1, keepdim=True))
        return -(one_hot * torch.log(shares + 1e-20)).sum(dim=1).mean()

    def loss():
        flat = functional.normalize(proxies.reshape(-1, case.size))
        similarities = functional.normalize(embeddings) @ flat.T  # [B, C·N]
        ranked = similarities + 1000 * (one_hot @ class_matrix.T)
        mask = torch.zeros_like(similarities).scatter_(1, ranked.topk(case.k)[1], 1)
        scores = (similarities * mask) @ class_matrix  # [B, C]
        total = cross_entropy(case.scale * scores, one_hot, scores != 0)
        if case.separation:
            logits = (flat @ flat.T) @ class_matrix
            total = total + case.separation * cross_entropy(logits, class_matrix, 1.0)
        return total

    return step_of(loss, embeddings, proxies)


def tensors(arrays):
    """Embeddings and proxies that take gradients, and labels."""
    embeddings, proxies, labels = (torch.tensor(x) for x in arrays)
    return embeddings.requires_grad_(), proxies.requires_grad_(), labels.long()
