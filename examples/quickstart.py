"""From images to an embedder that retrieves classes it has never seen, in about three minutes.

    python examples/quickstart.py [--output demo] [--epochs 6] [--classes 0]

The images are characters, each drawn in twelve font faces. Half of the characters train the
embedder. The other half, which it never sees, tests it: given one drawing of a character, are the
nearest ones the same character in other faces? That is zero-shot retrieval.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from keras_proxygml import (
    ProxyAdam,
    ProxyGML,
    ProxyGMLLoss,
    RetrievalEvaluation,
    clustering_metrics,
    embedder_of,
    retrieval_metrics,
)
from keras_proxygml.datasets import glyphs
from keras_proxygml.search import Gallery
from keras_proxygml.visualization import plot_history, plot_neighbors


def build_model(num_classes):
    """Makes a small CNN that ends in 128 numbers, and the proxies on top of it."""
    images = keras.Input((32, 32, 1))
    x = keras.layers.Rescaling(1 / 255)(images)
    for filters in (32, 64, 128):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Activation("relu")(x)
        x = keras.layers.MaxPooling2D()(x)
    embeddings = keras.layers.Dense(128)(keras.layers.Flatten()(x))
    # Two proxies stand for each character: its drawings may lie in more than one place.
    similarities = ProxyGML(num_classes, num_proxies=2)(embeddings)
    return keras.Model(images, similarities, name="glyphs")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder for the results")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--classes", type=int, default=0, help="how many to use; 0 is all")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)

    # 1. Images and labels. No class of the test half is in the training half.
    train, test = (first_classes(half, args.classes) for half in glyphs())
    num_classes = len(np.unique(train[1]))
    print(f"{len(train[0])} drawings of {num_classes} characters to train on,")
    print(f"{len(test[0])} drawings of {len(np.unique(test[1]))} other characters to test on.\n")

    # 2. A model from images to similarities with the proxies.
    model = build_model(num_classes)
    model.compile(
        # Each batch updates few proxies, and they start at random, so they learn ten times as fast.
        optimizer=ProxyAdam(1e-3, proxy_multiplier=10),
        # Each drawing is compared with the nearest half of all proxies, and with both of its own.
        loss=ProxyGMLLoss(ratio=0.5, scale=5),
    )

    # 3. Training. After each epoch the unseen characters are retrieved; baseline=True does so once
    #    before training too. Callbacks that read these metrics (EarlyStopping, ModelCheckpoint)
    #    must come after this one.
    evaluation = RetrievalEvaluation(test, baseline=True)
    history = model.fit(*train, batch_size=128, epochs=args.epochs, callbacks=[evaluation])

    # 4. The metrics, beside those of the raw pixels and of the network before training.
    pixels = test[0].reshape(len(test[0]), -1)
    print("\nOn characters never trained on:")
    print_table(
        {
            "raw pixels": retrieval_metrics(pixels, test[1]) | clustering_metrics(pixels, test[1]),
            "untrained embedder": evaluation.baseline,
            "trained embedder": evaluation.evaluate(),
        }
    )

    # 5. The embedder, to load into Keras again, and to serve where only TensorFlow is installed.
    embedder = embedder_of(model)
    embedder.save(args.output / "embedder.keras")
    if keras.backend.backend() == "tensorflow":
        embedder.export(args.output / "saved_model", verbose=False)

    # 6. A gallery of unseen characters, in eight faces each. It names the other drawings of them,
    #    and refuses characters that it does not hold.
    images, labels = test
    # A random half: neighbors in Unicode, such as Ć and ć, often look alike.
    classes = np.unique(labels)
    held = np.random.default_rng(0).permutation(classes)[: len(classes) // 2]
    is_held = np.isin(labels, held)
    is_item = is_held & (np.arange(len(labels)) % 12 < 8)
    gallery = Gallery(embedder)
    gallery.add(images[is_item], labels=labels[is_item])
    gallery.calibrate(false_accept_rate=0.05)
    known = gallery.identify(images[is_held & ~is_item])
    right = known.labels == labels[is_held & ~is_item]
    strangers = gallery.identify(images[~is_held])
    refused = strangers.labels == None  # noqa: E711  of each in an array
    print(
        f"\nA gallery of {len(gallery)} drawings names {right.mean():.1%} of the other drawings of"
    )
    print(f"its characters, and refuses {refused.mean():.1%} of the drawings of other characters.")
    gallery.save(args.output / "characters.gallery")
    gallery.close()

    # 7. Pictures.
    curves = plot_history(history, baseline=evaluation.baseline)
    curves.savefig(args.output / "learning_curves.png", dpi=120)
    embeddings = embedder.predict(test[0], batch_size=128, verbose=0)
    neighbors = plot_neighbors(test[0], embeddings, test[1], neighbors=11)
    neighbors.savefig(args.output / "neighbors.png", dpi=120)
    print(f"\nWritten to {args.output}/:")
    for path in sorted(args.output.iterdir()):
        print(f"  {path.name}")


def first_classes(half, count):
    """Returns the images and labels of the first `count` classes. 0 is all."""
    images, labels = half
    kept = labels < count if count else slice(None)
    return images[kept], labels[kept]


def print_table(rows, columns=("recall@1", "recall@8", "map@r", "nmi")):
    print(" " * 20 + "".join(f"{name:>10}" for name in columns))
    for title, metrics in rows.items():
        print(f"{title:20}" + "".join(f"{metrics[name]:10.3f}" for name in columns))


if __name__ == "__main__":
    main()
