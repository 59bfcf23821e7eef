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
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
from errors import in_one_line
from images import LOADERS, choose_split, find_images, split_of
from options import parse, recipe_of
from reporting import report

from keras_proxygml.training import fine_tune, how_to_go_on

HOW_TO = """No --data-dir was given, and this script downloads no data set. Choose one:
  --demo                                    a miniature made on the spot, in minutes
  --dataset folder --data-dir FOLDER        your images, in a folder for each class; better with
      --backbone EfficientNetV2B0 --weights imagenet
  --dataset cars196 --data-dir FOLDER       the paper's, unpacked: also cub200 and
                                            stanford_online_products"""


def run(args):
    # 1. Image files, with no class of the test half in the training half.
    with in_one_line():
        choose_split(args)
        train, test = find_images(args)
    print(f"{len(train):,} images of {len(train.class_names):,} classes to train on,")
    print(f"{len(test):,} images of {len(test.class_names):,} other classes to test on.")
    print(f"The split is {split_of(args)}. Results go to {args.output}.")

    # 2. The model, on one device or copied to all, and its training.
    if args.mixed_precision:
        keras.config.set_dtype_policy(f"mixed_{args.mixed_precision}")
    scope = contextlib.nullcontext
    if args.strategy == "mirrored":
        import tensorflow as tf

        scope = tf.distribute.MirroredStrategy().scope
    with in_one_line(options=vars(args)), scope():
        result = fine_tune(
            train,
            test,
            backbone=args.backbone,
            weights=args.weights,
            recipe=recipe_of(args),
            output=args.output,
            frozen_until=args.frozen_until,
            shorter_side=args.shorter_side,
            split=split_of(args),
            seed=args.seed,
        )

    # 3. What the embedder is worth. Its file takes images as files hold them.
    report(args.output, result)


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
