"""What a training step takes on each of eight devices, in memory and in traffic, as XLA plans it.

    KERAS_BACKEND=jax python benchmarks/sharded_memory.py [--classes 80000] [--size 128]

Compiles, and does not run, one step of Adam on a model of one dense layer and the proxies: once
with the proxies copied to every device, once sharded by class. It prints a Markdown table of bytes
per device, in MB of 10⁶ bytes. Every device feeds an eighth of the batch.

- *state*: the weights and Adam's two moments, as held between steps;
- *step*: what XLA reserves on top while a step runs, the gradient included;
- *traffic*: the results of all collective operations, summed; and the three largest of them.
"""

import argparse
import os
import re

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import keras
import numpy as np

from keras_proxygml import (
    NormalizedSoftmaxLoss,
    ProxyAdam,
    ProxyGMLLoss,
    ProxySeparation,
    ProxySimilarity,
    proxy_layout,
)

COLLECTIVES = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
COLLECTIVE = re.compile(rf" = (.+?) ({COLLECTIVES})(?:-start)?\(")
ARRAY = re.compile(r"\b[a-z]+(\d+)\[([\d,]*)\]")  # such as f32[64,8000]
CASES = {
    "NormalizedSoftmaxLoss": (NormalizedSoftmaxLoss(), None),
    "ProxyGMLLoss(0.05)": (ProxyGMLLoss(0.05, scale=20), None),
    "ProxyGMLLoss(0.05) + ProxySeparation": (ProxyGMLLoss(0.05, scale=20), ProxySeparation(0.3)),
}


def distributions():
    mesh = keras.distribution.DeviceMesh((8,), ["batch"])
    yield "copied", keras.distribution.DataParallel(mesh)
    layout = proxy_layout(mesh, "batch")
    yield "sharded by class", keras.distribution.ModelParallel(layout_map=layout)


def compiled_step(loss, regularizer, distribution, args):
    """One training step as XLA compiles it, as Keras's trainer would."""
    keras.distribution.set_distribution(distribution)
    inputs = keras.Input((args.size,))
    head = ProxySimilarity(args.classes, args.proxies, proxies_regularizer=regularizer)
    model = keras.Model(inputs, head(keras.layers.Dense(args.size)(inputs)))
    model.compile(ProxyAdam(1e-3), loss)
    batch = np.zeros((args.batch, args.size), "float32"), np.zeros(args.batch, "int32")
    model._symbolic_build(data_batch=batch)
    layouts = [distribution.get_data_layout(part.shape).backend_layout for part in batch]
    batch = tuple(jax.device_put(part, layout) for part, layout in zip(batch, layouts, strict=True))
    state = model._get_jax_state(
        trainable_variables=True,
        non_trainable_variables=True,
        optimizer_variables=True,
        metrics_variables=True,
    )
    shardings = (None, model._get_state_sharding_spec())
    step = jax.jit(model.train_step, donate_argnums=0, out_shardings=shardings)
    return step.lower(state, batch).compile()


def bytes_of(shape):
    """The bytes of an array, or of a tuple of arrays, in XLA's notation."""
    return sum(
        int(bits) // 8 * int(np.prod([int(n) for n in sizes.split(",") if n]))
        for bits, sizes in ARRAY.findall(shape)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--classes", type=int, default=80_000, help="C")
    parser.add_argument("--proxies", type=int, default=1, help="N")
    parser.add_argument("--size", type=int, default=128, help="D")
    parser.add_argument("--batch", type=int, default=256, help="B, of all devices together")
    args = parser.parse_args()

    proxies = args.classes * args.proxies
    print(f"C·N = {proxies:,}, D = {args.size}, B = {args.batch}, eight devices; in MB:")
    print(f"W = 4·C·N·D = {4 * proxies * args.size / 1e6:.1f},", end=" ")
    print(f"S = 4·B·C·N = {4 * proxies * args.batch / 1e6:.1f}\n")
    print("| loss | proxies | state | step | traffic | largest |")
    print("|" + " --- |" * 6)
    for name, (loss, regularizer) in CASES.items():
        for layout, distribution in distributions():
            step = compiled_step(loss, regularizer, distribution, args)
            memory = step.memory_analysis()
            moved = sorted(
                (bytes_of(shape), kind) for shape, kind in COLLECTIVE.findall(step.as_text())
            )
            # Donated arguments are what lives on from step to step.
            values = memory.alias_size_in_bytes, memory.temp_size_in_bytes, sum(b for b, _ in moved)
            row = " | ".join(f"{value / 1e6:.2f}" for value in values)
            largest = ", ".join(f"{kind} {size / 1e6:.2f}" for size, kind in moved[:-4:-1])
            print(f"| {name} | {layout} | {row} | {largest} |", flush=True)


if __name__ == "__main__":
    main()
