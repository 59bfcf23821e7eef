"""Trains on several machines, or on this one as if it were several, and goes on after a crash.

    python examples/train_distributed.py [--workers 2] [--output distributed] [--epochs 6]

starts the workers as processes of this machine. On a cluster, start the script once on each machine
instead, with the address of machine 0 and each machine's own index, counted from 0:

    python examples/train_distributed.py --workers 4 --index 3 --coordinator 10.0.0.1:9876 \
        --output /shared/run

Every worker feeds its part of each global batch to Keras on JAX, which averages the gradients over
all of them: two workers reach the weights of one. Each epoch ends in a checkpoint, written by
worker 0 into a folder that all workers can read. If a worker dies, all stop. The same command
continues after the last checkpoint, with any number of workers that divides the global batch of 96.
Only the unfinished epoch is lost.
"""

import argparse
import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
from errors import in_one_line

from keras_proxygml import ProxyAdam, ProxyGML, ProxyGMLLoss, embedder_of, retrieval_metrics
from keras_proxygml.datasets import glyphs

GLOBAL_BATCH = 96


def build_model(num_classes):
    """Makes a small CNN that ends in 64 numbers, and the proxies on top of it."""
    images = keras.Input((32, 32, 1))
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(32, 5, strides=2, activation="relu")(x)
    embeddings = keras.layers.Dense(64)(keras.layers.Flatten()(x))
    return keras.Model(images, ProxyGML(num_classes, num_proxies=4)(embeddings))


def train(args, train_half, test_half):
    """Runs one worker's part of the training. A single worker does all of it."""
    # 1. Workers find each other, and get copies of one model on all their devices.
    keras.utils.set_random_seed(0)
    if args.workers > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")  # GPUs have NCCL
        keras.distribution.initialize(args.coordinator, args.workers, args.index)
    # Each worker reads its own part of a batch, so Keras has nothing to share out.
    copies = keras.distribution.DataParallel(auto_shard_dataset=False)
    keras.distribution.set_distribution(copies)

    # 2. The model of the last checkpoint, optimizer included, or a new one.
    epochs_done, checkpoint = last_checkpoint(args.output)
    images, labels = train_half
    if checkpoint:
        model = keras.models.load_model(checkpoint)
    else:
        model = build_model(num_classes=len(np.unique(labels)))
        model.compile(ProxyAdam(1e-3, proxy_multiplier=10), ProxyGMLLoss(ratio=0.05))

    # 3. Training, an epoch at a time.
    for epoch in range(epochs_done, args.epochs):
        rows = own_rows(epoch, len(images), args.index, args.workers)
        batch_size = GLOBAL_BATCH // args.workers
        log = model.fit(images[rows], labels[rows], batch_size, shuffle=False, verbose=0)
        if args.index == 0:
            save(model, args.output, epoch + 1)
            print(f"epoch {epoch + 1}: loss {log.history['loss'][0]:.4f}", flush=True)

    # 4. All are done. Worker 0 evaluates alone, because retrieval is not worth sharing.
    if args.workers > 1:
        jax.distributed.shutdown()
    if args.index == 0:
        evaluate(args.output, test_half)


def first_classes(half, count):
    """Returns the images and labels of the first `count` classes. 0 is all."""
    images, labels = half
    kept = labels < count if count else slice(None)
    return images[kept], labels[kept]


def check_data(args, train_half):
    """Stops unless these are the images and classes that the run was started with."""
    images, labels = train_half
    data = {
        "classes": len(np.unique(labels)),
        "images": len(images),
        "sha256": hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest(),
    }
    path = args.output / "data.json"
    epochs_done, checkpoint = last_checkpoint(args.output)
    if not checkpoint:
        if not args.index:  # worker 0, or the process that starts all
            path.write_text(json.dumps(data) + "\n")
        return
    before = json.loads(path.read_text()) if path.is_file() else {}
    if before != data:
        begun_with = f"{before['classes']} classes" if before else "images that were not recorded"
        raise ValueError(
            f"The images must be those of the run in {args.output}, which has {begun_with}. "
            f"Received: {data['images']} other images, of {data['classes']} classes. Put back the "
            "images and --classes to continue that run, or give another --output."
        )
    if args.index is None:
        is_done = epochs_done >= args.epochs
        print(f"The run in {args.output} ", end="")
        print("is finished." if is_done else f"goes on after epoch {epochs_done}.", flush=True)


def own_rows(epoch, num_images, index, workers):
    """Returns the images that a worker feeds in an epoch, in order."""
    # The seed makes the order the same on every worker, and after a restart.
    order = np.random.default_rng(epoch).permutation(num_images)
    whole_batches = order[: num_images // GLOBAL_BATCH * GLOBAL_BATCH]
    return whole_batches.reshape(-1, workers, GLOBAL_BATCH // workers)[:, index].ravel()


def last_checkpoint(output):
    """Returns how many epochs are done, and the file of their result. At first, 0 and None."""
    done = {int(path.stem.removeprefix("epoch_")): path for path in output.glob("epoch_*.keras")}
    return max(done.items(), default=(0, None))


def save(model, output, epochs_done):
    """Writes a checkpoint, never a part of one, and removes the one before."""
    unfinished = output / "unfinished.keras"
    with alone():
        model.save(unfinished)
    unfinished.rename(output / f"epoch_{epochs_done}.keras")
    (output / f"epoch_{epochs_done - 1}.keras").unlink(missing_ok=True)


@contextlib.contextmanager
def alone():
    """Inside, this worker makes its own variables. Otherwise Keras waits for the other workers."""
    shared = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(shared)


def evaluate(output, test_half):
    """Retrieves the unseen characters with the model of the last checkpoint, on this worker."""
    images, labels = test_half
    with alone():
        embedder = embedder_of(keras.models.load_model(last_checkpoint(output)[1]))
        embeddings = embedder.predict(images, batch_size=128, verbose=0)
    metrics = retrieval_metrics(embeddings, labels)
    print(f"recall@1 {metrics['recall@1']:.3f}, map@r {metrics['map@r']:.3f}")


def launch(args):
    """Runs all workers on this machine, and stops them all when one dies."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        coordinator = f"localhost:{free.getsockname()[1]}"
    command = [sys.executable, *sys.argv, "--coordinator", coordinator]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))  # so that finally runs
    workers = []
    try:
        # Ctrl-C reaches all processes of a terminal. Workers inherit that it is ignored.
        ctrl_c = signal.signal(signal.SIGINT, signal.SIG_IGN)
        for index in range(args.workers):
            workers.append(subprocess.Popen([*command, "--index", str(index)]))
            print(f"worker {index} is process {workers[-1].pid}", flush=True)
        signal.signal(signal.SIGINT, ctrl_c)
        while None in (codes := [worker.poll() for worker in workers]) or any(codes):
            if any(codes):
                sys.exit(
                    f"The workers ended with {codes} (None: not yet), so all are stopped. Run the "
                    f"same command to go on after epoch {last_checkpoint(args.output)[0]}."
                )
            time.sleep(0.1)
    finally:
        # All are killed before the wait, because a worker reports the death of another.
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=2, help="how many there are in all")
    parser.add_argument("--index", type=int, help="which of them this is; without, all start here")
    parser.add_argument("--coordinator", help="address and port of worker 0")
    parser.add_argument("--output", type=Path, default=Path("distributed"), help="checkpoints")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--classes", type=int, default=0, help="how many to use; 0 is all")
    args = parser.parse_args()
    if (args.index is None) != (args.coordinator is None) and args.workers > 1:
        parser.error("--index and --coordinator belong together: give both, or none to start here")
    if args.workers < 1 or GLOBAL_BATCH % args.workers:
        parser.error(f"--workers must be a divisor of {GLOBAL_BATCH}. Received: {args.workers}")
    if args.index is not None and not 0 <= args.index < args.workers:
        parser.error(f"--index must be 0 to {args.workers - 1}. Received: {args.index}")
    args.output.mkdir(parents=True, exist_ok=True)
    halves = [first_classes(half, args.classes) for half in glyphs()]
    with in_one_line():
        check_data(args, halves[0])
    try:
        if args.index is None:
            launch(args)
        else:
            train(args, *halves)
    except KeyboardInterrupt:
        epochs_done, _ = last_checkpoint(args.output)
        print(f"\nStopped. Run the same command to go on after epoch {epochs_done}.")
        sys.exit(130)


if __name__ == "__main__":
    main()
