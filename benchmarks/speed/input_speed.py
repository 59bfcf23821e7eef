"""Images per second of `training_batches` and of a PyTorch-style loader on PIL, side by side.

    python -m benchmarks.speed.input_speed                # JPEGs of 500 x 375, made on the spot
    python -m benchmarks.speed.input_speed FOLDER         # your own images, in class folders
    python -m benchmarks.speed.input_speed --output speed.json

Both give the official training batches, random crops of 224, BGR less means, float32, and are
measured in turn on the same files. The loader on PIL does what a DataLoader with one worker
process a core does: whole batches into shared memory, two ahead for each worker. It reverses and
subtracts in one NumPy call straight into the batch, which is less work than torchvision's.
"""

import argparse
import collections
import json
import math
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 224
MEANS = np.array([104, 117, 128], "float32")


def random_resized_crop(image, rng):
    """torchvision's, with its defaults."""
    width, height = image.size
    for _ in range(10):
        area = width * height * rng.uniform(0.08, 1)
        aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = rng.integers(width - w + 1), rng.integers(height - h + 1)
            break
    else:
        w, h = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
        left, top = (width - w) // 2, (height - h) // 2
    cropped = image.crop((left, top, left + w, top + h))
    return cropped.resize((SIZE, SIZE), Image.Resampling.BILINEAR)


def start_worker(memory, slots, batch_size):
    global batches
    shape = slots, batch_size, SIZE, SIZE, 3
    batches = np.frombuffer(memory, "float32").reshape(shape)


def fill(slot, paths, seed):
    """Reads a batch into its place in the shared memory."""
    rng = np.random.default_rng(seed)
    for row, path in zip(batches[slot], paths, strict=True):
        image = random_resized_crop(Image.open(path).convert("RGB"), rng)
        if rng.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        np.subtract(np.asarray(image)[..., ::-1], MEANS, out=row)
    return slot


class PilLoader:
    """Batches from worker processes, in order, two ahead for each."""

    def __init__(self, paths, batch_size, workers):
        self.paths, self.batch_size, self.slots = paths, batch_size, 2 * workers
        shape = self.slots, batch_size, SIZE, SIZE, 3
        memory = multiprocessing.RawArray("f", math.prod(shape))
        self.batches = np.frombuffer(memory, "float32").reshape(shape)
        # Not forked: TensorFlow has threads.
        self.pool = multiprocessing.get_context("spawn").Pool(
            workers, start_worker, (memory, self.slots, batch_size)
        )

    def __call__(self, count):
        rng = np.random.default_rng(0)
        waiting = collections.deque()
        for index in range(count + self.slots):
            if len(waiting) == self.slots:
                yield self.batches[waiting.popleft().get()]
            if index < count:
                paths = list(rng.choice(self.paths, self.batch_size))
                task = index % self.slots, paths, index
                waiting.append(self.pool.apply_async(fill, task))


def images_per_second(batches, warm_up, batch_size):
    """Times all batches after the first few."""
    count = 0
    for index, batch in enumerate(batches):
        if index == warm_up:
            start = time.perf_counter()
        count += len(batch) if index >= warm_up else 0
    return count / (time.perf_counter() - start)


def make_images(folder, count, width, height):
    """Writes JPEGs with soft shapes and grain, in two class folders; about 70 kB at 500 x 375."""
    rng = np.random.default_rng(0)
    for index in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (height // 10, width // 10, 3), "uint8"))
        soft = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), int)
        grain = rng.integers(-10, 11, (height, width, 1))
        path = Path(folder, str(index % 2), f"{index}.jpg")
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.clip(soft + grain, 0, 255).astype("uint8")).save(path, quality=90)


def measure(folder, options):
    """Alternates the two loaders."""
    from keras_proxygml.datasets import bgr_means, image_folder, training_batches

    files, _ = image_folder(folder)
    workers = os.cpu_count()
    pil = PilLoader(files.paths, options.batch_size, workers)
    dataset = training_batches(files, options.batch_size, preprocess=bgr_means).repeat()
    total = options.warm_up + options.batches
    speeds = {"keras_proxygml": [], "pil": []}
    for _ in range(options.rounds):
        ours = (images for images, _ in dataset.take(total))
        for name, batches in (("keras_proxygml", ours), ("pil", pil(total))):
            speed = images_per_second(batches, options.warm_up, options.batch_size)
            speeds[name].append(round(speed, 1))
    pil.pool.terminate()
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    with Image.open(files.paths[0]) as first:
        size = first.size
    return {
        "images": len(files),
        "first_image_size": size,
        "batch_size": options.batch_size,
        "cores": workers,
        "machine": platform.processor() or platform.machine(),
        "images_per_second": speeds,
        "medians": medians,
        "ratio": round(medians["keras_proxygml"] / medians["pil"], 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="class folders; by default made on the spot")
    parser.add_argument("--size", default="500x375", help="of images made on the spot")
    parser.add_argument("--count", type=int, default=512, help="how many images to make")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--batches", type=int, default=40, help="timed in each round")
    parser.add_argument("--warm-up", type=int, default=20, help="batches before the clock starts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        if options.folder is None:
            make_images(made, options.count, *map(int, options.size.split("x")))
        result = measure(options.folder or made, options)
    text = json.dumps(result, indent=2)
    print(text)
    print("\n| loader | images/s, median | ratio |\n| --- | ---: | ---: |")
    for name, median in result["medians"].items():
        print(f"| {name} | {median:.0f} | {median / result['medians']['pil']:.2f} |")
    if options.output:
        options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
