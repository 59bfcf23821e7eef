r"""The paper's experiment: fine-tune a backbone with ProxyGML, and test it on classes it never saw.

    python examples/train_cars.py --data-dir cars --weights bn_inception-52deb4733.pth
    python examples/train_cars.py --dataset cub200 --data-dir CUB_200_2011 --weights ...
    python examples/train_cars.py --dataset folder --data-dir photos \
        --backbone EfficientNetV2B0 --weights imagenet
    python examples/train_cars.py --demo            # a miniature made on the spot, in minutes

An interrupted run (by Ctrl-C, for instance) continues after its last whole epoch if you start it
again with the same arguments on the same images. At its end, it lists the files in --output. Each
epoch is tested, as in the paper, but the weights of the last epoch are kept.
"""

import contextlib
import difflib
import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
from backbones import make_backbone, name_of, with_preprocessing
from errors import in_one_line
from images import LOADERS, choose_split, find_images
from recipes import parse
from record import describe
from reporting import report
from resuming import (
    begin,
    check_arguments,
    check_images,
    epochs_done,
    epochs_kept,
    how_to_go_on,
    results_of_finished,
)

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

HOW_TO = """No --data-dir was given, and this script downloads no data set. Choose one:
  --demo                                    a miniature made on the spot, in minutes
  --dataset folder --data-dir FOLDER        your images, in a folder for each class; better with
      --backbone EfficientNetV2B0 --weights imagenet
  --dataset cars196 --data-dir FOLDER       the paper's, unpacked: also cub200 and
                                            stanford_online_products"""


def make_model(args, backbone, num_classes):
    """Makes a model from images to embeddings, and from these to similarities with the proxies."""
    images = keras.Input((args.image_size, args.image_size, 3))
    # The official layer starts as in PyTorch, with values half as large as in Keras.
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


def set_trainable(args, backbone, warming_up):
    backbone.trainable = not warming_up
    if warming_up:
        return
    if args.frozen_until:
        names = [layer.name for layer in backbone.layers]
        if args.frozen_until not in names:
            near = difflib.get_close_matches(args.frozen_until, names) or names[-3:]
            raise ValueError(
                f"--frozen-until must name a layer of {args.backbone}, such as {', '.join(near)}. "
                f"Received: {args.frozen_until}."
            )
        for layer in backbone.layers[: names.index(args.frozen_until)]:
            layer.trainable = False
    if args.freeze_batch_norm:
        freeze_batch_norm(backbone)


def learning_rate(args, steps):
    """Returns the rate after the warm-up, or its schedule, for `steps` steps per epoch."""
    schedules = keras.optimizers.schedules
    epochs = [e - 1 - args.warm_up for e in args.decay_epochs if e - 1 > args.warm_up]
    if args.schedule == "step" and epochs:
        # Keras changes the rate after a boundary, so the last step before the epoch is one.
        boundaries = [epoch * steps - 1 for epoch in epochs]
        rates = [args.learning_rate * 0.1**n for n in range(len(epochs) + 1)]
        return schedules.PiecewiseConstantDecay(boundaries, rates)
    if args.schedule == "cosine":
        epochs = max(
            args.epochs - args.warm_up, 1
        )  # none of these is trained if all epochs warm up
        return schedules.CosineDecay(args.learning_rate, epochs * steps)
    return args.learning_rate


def compile_for(phase, args, files, model, backbone):
    set_trainable(args, backbone, phase == "warm_up")
    steps = -(-len(files) // args.batch_size)
    rate = args.learning_rate if phase == "warm_up" else learning_rate(args, steps)
    optimizer = ProxyAdam(rate, args.proxy_multiplier, args.l2, epsilon=args.epsilon)
    model.compile(optimizer, ProxyGMLLoss(args.ratio, args.scale))


def training_batches(args, files, preprocess, first_epoch=0):
    return datasets.training_batches(
        files,
        args.batch_size,
        image_size=args.image_size,
        area=(args.crop_area, 1.0),
        preprocess=preprocess,
        seed=args.seed,
        first_epoch=first_epoch,
    )


def train(args, files, model, backbone, evaluation, preprocess):
    """Trains in one phase, or two with --warm-up. Each continues where it was interrupted."""
    phases = [("warm_up", min(args.warm_up, args.epochs))] if args.warm_up else []
    for phase, last_epoch in [*phases, ("training", args.epochs)]:
        compile_for(phase, args, files, model, backbone)
        first_epoch = epochs_done(args.output / "backup" / phase)
        if phase == "training":
            first_epoch = max(first_epoch, args.warm_up)
        callbacks = [
            evaluation,
            keras.callbacks.CSVLogger(args.output / "log.csv", append=True),
            keras.callbacks.TensorBoard(args.output / "tensorboard"),
            keras.callbacks.BackupAndRestore(
                args.output / "backup" / phase, double_checkpoint=True, delete_checkpoint=False
            ),
        ]
        model.fit(
            training_batches(args, files, preprocess, first_epoch),
            epochs=last_epoch,
            initial_epoch=first_epoch,
            callbacks=callbacks,
            shuffle=False,
            verbose=1 if sys.stdout.isatty() else 2,  # a bar, or a line for each epoch
        )


def find_run(args):
    """Finds the images, and checks that they and the arguments fit a run in the output folder."""
    choose_split(args)
    arguments = {name: str(value) for name, value in vars(args).items()}
    check_arguments(args.output, arguments)
    files, test = find_images(args)
    description = describe(args, files, test)
    check_images(args.output, description)
    return files, test, arguments, description


def make_all(args, files, test):
    """Makes the model with its backbone, its preprocessing, and the batches to test on."""
    if args.weights is None and not args.demo and not args.backbone.endswith(".keras"):
        args.freeze_batch_norm = False  # its statistics are not trained yet
        print(
            "The backbone starts at random, so its batch norm learns. --weights is a better start."
        )
    backbone, preprocess = make_backbone(args)
    model = make_model(args, backbone, len(files.class_names))
    # Errors of the arguments are raised now, and not after the first evaluation.
    compile_for("training", args, files, model, backbone)
    training_batches(args, files, preprocess)
    test_batches = datasets.evaluation_batches(
        test, image_size=args.image_size, shorter_side=args.shorter_side, preprocess=preprocess
    )
    return model, backbone, preprocess, test_batches


def run(args):
    # 1. Image files, with no class of the test half in the training half.
    with in_one_line():
        files, test, arguments, description = find_run(args)
    results = results_of_finished(args.output, args.epochs)
    if results:
        print(f"The run in {args.output} is finished: its last epoch was {args.epochs}.")
        print("To train on, give more --epochs. For a new run, give another --output.")
        return report(args.output, results)
    print(f"{len(files):,} images of {len(files.class_names):,} classes to train on,")
    print(f"{len(test):,} images of {len(test.class_names):,} other classes to test on.")
    print(f"The split is {description['split']}. Results go to {args.output}.")

    # 2. The model, on one device or copied to all.
    keras.utils.set_random_seed(args.seed)
    if args.mixed_precision:
        keras.config.set_dtype_policy(f"mixed_{args.mixed_precision}")
    scope = contextlib.nullcontext
    if args.strategy == "mirrored":
        import tensorflow as tf

        scope = tf.distribute.MirroredStrategy().scope
    with in_one_line(), scope():
        model, backbone, preprocess, test_batches = make_all(args, files, test)
    begin(args.output, arguments, description | {"preprocessing": name_of(preprocess)})

    # 3. Training, with retrieval on the test half before it and after each epoch.
    print("Testing the model as it starts, which takes a while ...", flush=True)
    evaluation = RetrievalEvaluation(test_batches, embedder_of(model))
    before = evaluation.evaluate()
    if kept := epochs_kept(args.output):
        print(f"Going on after epoch {kept} of {args.epochs}.")
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
    report(args.output, results)


def main():
    args = parse(__doc__.partition("\n")[0], LOADERS)
    if not args.demo and args.data_dir is None:
        print(HOW_TO, file=sys.stderr)
        sys.exit(2)
    try:
        run(args)
    except KeyboardInterrupt:
        print(f"\n{how_to_go_on(args.output)}", file=sys.stderr)
        sys.exit(130)  # what shells expect of a program that Ctrl-C ended


if __name__ == "__main__":
    main()
