r"""The paper's experiment: fine-tune a backbone with ProxyGML, and test it on classes it never saw.

    python examples/train_cars.py --data-dir cars --weights bn_inception-52deb4733.pth
    python examples/train_cars.py --dataset cub200 --data-dir CUB_200_2011 --weights ...
    python examples/train_cars.py --dataset folder --data-dir photos \
        --backbone EfficientNetV2B0 --weights imagenet
    python examples/train_cars.py --demo            # a miniature made on the spot, in minutes

A run that was cut off goes on with its last whole epoch when it is started again with the same
arguments. What it leaves in --output: `log.csv`, `tensorboard/`, `results.json`, and the embedder,
from RGB images of 0 to 255 to vectors, as `embedder.keras` and, on TensorFlow, `saved_model/`; and
to go on from, `arguments.json` and `backup/`. The test half is looked at after each epoch, as in
the paper, but chooses nothing: the weights of the last epoch count.
"""

import contextlib
import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
from miniature import make_miniature
from recipes import parse
from resuming import begin, epochs_done

from keras_proxygml import (
    ProxyAdam,
    ProxyGML,
    ProxyGMLLoss,
    ProxySeparation,
    RetrievalEvaluation,
    datasets,
    embedder_of,
    freeze_batch_norm,
)
from keras_proxygml.applications import BNInception

LOADERS = {
    "cars196": datasets.cars196,
    "cub200": datasets.cub200,
    "stanford_online_products": datasets.stanford_online_products,
    "folder": datasets.image_folder,
}
HOW_TO = """No --data-dir was given, and no data set is downloaded by itself. Choose one:
  --demo                                    a miniature made on the spot, in minutes
  --dataset folder --data-dir FOLDER        your images, in a folder for each class; better with
      --backbone EfficientNetV2B0 --weights imagenet
  --dataset cars196 --data-dir FOLDER       the paper's, unpacked: also cub200 and
                                            stanford_online_products"""


def make_backbone(args):
    """The backbone, from images to a vector, and what its images must be preprocessed by."""
    shape = (args.image_size, args.image_size, 3)
    if args.backbone == "small":
        return small_backbone(shape), None
    if args.backbone == "bn_inception":
        return BNInception(shape, pooling="avg", weights=args.weights), datasets.bgr_means
    if args.backbone.endswith(".keras"):
        return keras.models.load_model(args.backbone, compile=False), None
    make = getattr(keras.applications, args.backbone, None)
    if not callable(make):  # resnet50 is there too, as a module
        sys.exit(
            f"--backbone {args.backbone} is unknown. Give bn_inception, small, a name of "
            "keras.applications such as EfficientNetV2B0, or the path of a .keras file."
        )
    backbone = make(include_top=False, weights=args.weights, input_shape=shape, pooling="avg")
    return backbone, sys.modules[make.__module__].preprocess_input


def small_backbone(shape):
    """A network for the demo, which learns from random weights in a minute."""
    images = keras.Input(shape)
    x = keras.layers.Rescaling(1 / 127.5, -1)(images)
    for filters in (32, 64, 128):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.MaxPooling2D()(keras.layers.ReLU()(x))
    return keras.Model(images, keras.layers.Flatten()(x))


def make_model(args, backbone, num_classes):
    """From images over embeddings to similarities with the proxies."""
    images = keras.Input((args.image_size, args.image_size, 3))
    # The official code's layer starts as PyTorch's do, half as wide as Keras's.
    as_pytorch = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    initializer = as_pytorch if args.recipe.startswith("paper") else "glorot_uniform"
    embedding = keras.layers.Dense(
        args.embedding_size, kernel_initializer=initializer, name="embedding"
    )
    embeddings = embedding(backbone(images))
    proxies = ProxyGML(
        num_classes, args.num_proxies, proxies_regularizer=ProxySeparation(args.separation)
    )
    return keras.Model(images, proxies(embeddings), name="proxy_gml")


def with_preprocessing(embedder, preprocess):
    """From images as files hold them, RGB from 0 to 255, to embeddings."""
    images = keras.Input(embedder.input_shape[1:])
    return keras.Model(images, embedder(preprocess(images) if preprocess else images))


def set_trainable(args, backbone, warming_up):
    backbone.trainable = not warming_up
    if warming_up:
        return
    if args.frozen_until:
        names = [layer.name for layer in backbone.layers]
        if args.frozen_until not in names:
            sys.exit(f"--frozen-until {args.frozen_until} is no layer. There are: {names}")
        for layer in backbone.layers[: names.index(args.frozen_until)]:
            layer.trainable = False
    if args.freeze_batch_norm:
        freeze_batch_norm(backbone)


def learning_rate(args, steps):
    """The rate after the warm-up, or its schedule, for so many steps an epoch."""
    schedules = keras.optimizers.schedules
    epochs = [e - 1 - args.warm_up for e in args.decay_epochs if e - 1 > args.warm_up]
    if args.schedule == "step" and epochs:
        # Keras changes the rate after a boundary, so the last step before the epoch is one.
        boundaries = [epoch * steps - 1 for epoch in epochs]
        rates = [args.learning_rate * 0.1**n for n in range(len(epochs) + 1)]
        return schedules.PiecewiseConstantDecay(boundaries, rates)
    if args.schedule == "cosine":
        return schedules.CosineDecay(args.learning_rate, (args.epochs - args.warm_up) * steps)
    return args.learning_rate


def train(args, files, model, backbone, evaluation, preprocess):
    """Trains in one phase, or two with --warm-up; each goes on where it was cut off."""
    steps = -(-len(files) // args.batch_size)
    phases = [("warm_up", args.warm_up)] if args.warm_up else []
    for phase, last_epoch in [*phases, ("training", args.epochs)]:
        set_trainable(args, backbone, phase == "warm_up")
        rate = args.learning_rate if phase == "warm_up" else learning_rate(args, steps)
        optimizer = ProxyAdam(rate, args.proxy_multiplier, args.l2, epsilon=args.epsilon)
        model.compile(optimizer, ProxyGMLLoss(args.ratio, args.scale))
        first_epoch = epochs_done(args.output / "backup" / phase)
        if phase == "training":
            first_epoch = max(first_epoch, args.warm_up)
        batches = datasets.training_batches(
            files,
            args.batch_size,
            image_size=args.image_size,
            area=(args.crop_area, 1.0),
            preprocess=preprocess,
            seed=args.seed,
            first_epoch=first_epoch,
        )
        callbacks = [
            evaluation,
            keras.callbacks.CSVLogger(args.output / "log.csv", append=True),
            keras.callbacks.TensorBoard(args.output / "tensorboard"),
            keras.callbacks.BackupAndRestore(
                args.output / "backup" / phase, double_checkpoint=True, delete_checkpoint=False
            ),
        ]
        model.fit(
            batches,
            epochs=last_epoch,
            initial_epoch=first_epoch,
            callbacks=callbacks,
            shuffle=False,
            verbose=2,
        )


def main():
    args = parse(__doc__.partition("\n")[0], LOADERS)
    if not args.demo and args.data_dir is None:
        sys.exit(HOW_TO)
    arguments = {name: str(value) for name, value in vars(args).items()}
    args.output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(args.seed)
    if args.mixed_precision:
        keras.config.set_dtype_policy(f"mixed_{args.mixed_precision}")

    # 1. Image files, with no class of the test half in the training half.
    if args.demo:
        args.dataset, args.data_dir = "folder", make_miniature(args.output / "miniature")
    try:
        files, test = LOADERS[args.dataset](args.data_dir)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    num_classes = len(files.class_names)
    print(f"{len(files):,} images of {num_classes:,} classes to train on,")
    print(f"{len(test):,} images of {len(test.class_names):,} other classes to test on.")

    # 2. The model, on one device or copied to all.
    scope = contextlib.nullcontext
    if args.strategy == "mirrored":
        import tensorflow as tf

        scope = tf.distribute.MirroredStrategy().scope
    with scope():
        backbone, preprocess = make_backbone(args)
        model = make_model(args, backbone, num_classes)
    if args.weights is None and not args.demo and not args.backbone.endswith(".keras"):
        args.freeze_batch_norm = False  # its statistics are no one's yet
        print("The backbone starts at random, its batch norm learns; start better with --weights.")
    begin(args.output, arguments)

    # 3. Training, with retrieval on the test half before it and after each epoch.
    test_batches = datasets.evaluation_batches(
        test,
        image_size=args.image_size,
        shorter_side=args.shorter_side,
        preprocess=preprocess,
    )
    evaluation = RetrievalEvaluation(test_batches, embedder_of(model))
    before = evaluation.evaluate()
    start = time.time()
    with scope():
        train(args, files, model, backbone, evaluation, preprocess)

    # 4. The embedder, which takes images as files hold them, and what it is worth.
    embedder = with_preprocessing(embedder_of(model), preprocess)
    embedder.save(args.output / "embedder.keras")
    if keras.backend.backend() == "tensorflow":
        embedder.export(args.output / "saved_model", verbose=False)
    results = {
        "arguments": arguments,
        "versions": {"keras": keras.__version__, "backend": keras.backend.backend()},
        "seconds": time.time() - start,
        "before": before,
        "after": evaluation.evaluate(),
    }
    (args.output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print_table({"before training": before, "after": results["after"]})


def print_table(rows, columns=("recall@1", "recall@8", "map@r", "nmi")):
    print("\nOn classes never trained on:")
    print(" " * 15 + "".join(f"{name:>10}" for name in columns))
    for title, metrics in rows.items():
        print(f"{title:15}" + "".join(f"{metrics[name]:10.3f}" for name in columns))


if __name__ == "__main__":
    main()
