"""What `backbone_speed` compares: one training step of the official recipe, in each library.

A contender takes a folder that `prepare` has filled and returns a function that makes one step
and returns its loss. The first line of its docstring says in the table what it is.
"""

import zlib
from pathlib import Path

import numpy as np

CLASSES, PROXIES, EMBEDDING, RATIO, SEPARATION = 98, 12, 512, 0.05, 0.3
RATE, PROXY_RATE, EPSILON, L2 = 1e-4, 0.03, 0.01, 1e-4


def weight(name, shape):
    """Random numbers that keep the size of what passes through; as in the library's tests."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    kind = name.rpartition(".")[2]
    if "_bn." in name and kind in ("weight", "running_var"):
        return rng.uniform(0.5, 1.5, shape)
    if kind == "weight":
        return rng.normal(0, 1, shape) * np.sqrt(2 / np.prod(shape[1:]))
    return rng.normal(0, 0.1, shape)


def prepare(folder, batch, size):
    """Writes what all contenders start from: a PyTorch checkpoint, proxies, images and labels."""
    import torch

    from benchmarks.speed.pytorch_bn_inception import BNInception

    network = BNInception(EMBEDDING).state_dict()
    entries = {n: v for n, v in network.items() if not n.endswith("num_batches_tracked")}
    entries = {n: torch.tensor(weight(n, v.shape), dtype=v.dtype) for n, v in entries.items()}
    torch.save(entries, folder / "backbone.pth")
    rng = np.random.default_rng(0)
    bound = (CLASSES * PROXIES) ** -0.5
    proxies = rng.uniform(-bound, bound, (CLASSES, PROXIES, EMBEDDING))
    images = rng.uniform(0, 255, (batch, size, size, 3)) - [104, 117, 128]
    np.save(folder / "proxies.npy", proxies.astype("float32"))
    np.save(folder / "images.npy", images.astype("float32"))
    np.save(folder / "labels.npy", rng.integers(0, CLASSES, batch))


def load(folder):
    return [np.load(Path(folder) / f"{name}.npy") for name in ("images", "labels", "proxies")]


def ours(folder):
    """`compile()` and `train_on_batch()` on TensorFlow, nothing set."""
    import keras

    import keras_proxygml as kp

    images, labels, proxies = load(folder)
    backbone = kp.applications.BNInception(
        images.shape[1:], embedding_size=EMBEDDING, weights=Path(folder) / "backbone.pth"
    )
    kp.freeze_batch_norm(backbone)
    head = kp.ProxyGML(CLASSES, PROXIES, proxies_regularizer=kp.ProxySeparation(SEPARATION))
    model = keras.Model(backbone.input, head(backbone.output))
    head.set_weights([proxies])
    optimizer = kp.ProxyAdam(RATE, PROXY_RATE / RATE, L2, epsilon=EPSILON)
    model.compile(optimizer, kp.ProxyGMLLoss(RATIO))

    def step():
        model.reset_metrics()  # its loss would be the mean of all steps
        return float(model.train_on_batch(images, labels))

    return step


def ours_with_onednn(folder):
    """The same with `TF_ENABLE_ONEDNN_OPTS=1` in the environment."""
    return ours(folder)


def pytorch(folder, memory_format="contiguous_format"):
    """PyTorch, eager, images `[B, C, H, W]`."""
    import torch

    from benchmarks.speed.pytorch_bn_inception import BNInception, proxy_gml_loss

    images, labels, proxies = load(folder)
    network = BNInception(EMBEDDING)
    network.load_state_dict(torch.load(Path(folder) / "backbone.pth"), strict=False)
    network = network.eval().to(memory_format=getattr(torch, memory_format))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.requires_grad_(False)
    # The official code has its proxies as columns, [D, C·N].
    flat = proxies.reshape(-1, EMBEDDING).T
    proxies = torch.nn.Parameter(torch.tensor(flat).contiguous())
    learn = [{"params": [p for p in network.parameters() if p.requires_grad]}]
    learn.append({"params": [proxies], "lr": PROXY_RATE})
    optimizer = torch.optim.Adam(learn, lr=RATE, weight_decay=L2, fused=True)
    # A data loader would hand over what the convolutions want.
    batch = torch.tensor(images.transpose(0, 3, 1, 2))
    batch = batch.contiguous(memory_format=getattr(torch, memory_format))
    labels = torch.tensor(labels)
    steps = 0

    def step():
        nonlocal steps
        steps += 1
        # PyTorch 1.2, of the official code, adds epsilon before it corrects the second moment.
        for group in optimizer.param_groups:
            group["eps"] = EPSILON / (1 - 0.999**steps) ** 0.5
        optimizer.zero_grad()
        loss = proxy_gml_loss(network(batch), proxies, labels, CLASSES, RATIO, SEPARATION)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def pytorch_channels_last(folder):
    """PyTorch, eager, network and images in `torch.channels_last`."""
    return pytorch(folder, "channels_last")
