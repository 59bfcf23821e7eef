"""`fine_tune`: from images and a backbone to an embedder, in one call."""

import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path

import keras
from numpy.typing import ArrayLike

from keras_proxygml.checks import check_integer
from keras_proxygml.datasets import ImageFiles
from keras_proxygml.datasets.pipeline import Preprocess
from keras_proxygml.training.backbones import ANY_SIZE, make_backbone, name_of, starts_at_random
from keras_proxygml.training.fitting import Training
from keras_proxygml.training.images import as_images, check_classes, natural_size
from keras_proxygml.training.recipes import Recipe, as_recipe
from keras_proxygml.training.store import Store


@dataclasses.dataclass(frozen=True)
class Result:
    """What `fine_tune` returns.

    Attributes:
        embedder: From RGB images of 0 to 255, `[B, S, S, 3]`, to embeddings `[B, D]`.
        model: From preprocessed images to cosines `[B, C, N]`. It shares the embedder's weights.
        history: Loss and metrics of each epoch, a dict of lists. `plot_history` draws it.
        metrics: The metrics of `RetrievalEvaluation` on the test half after training, a dict. It is
            empty without a test half.
        before: The same before training.
        seconds: How long the training took: in this call, or for a finished run, in the one that
            finished it.
    """

    embedder: keras.Model
    model: keras.Model
    history: dict[str, list[float]]
    metrics: dict[str, float]
    before: dict[str, float]
    seconds: float


def fine_tune(
    train: ImageFiles | tuple[ArrayLike, ArrayLike],
    test: ImageFiles | tuple[ArrayLike, ArrayLike] | None = None,
    *,
    backbone: str | Path | keras.Model,
    recipe: str | Recipe = "fine_tune",
    output: str | os.PathLike[str] | None = None,
    weights: str | Path | None = None,
    preprocess: Preprocess | str | None = "auto",
    frozen_until: str | None = None,
    shorter_side: int | None = None,
    split: str = "",
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> Result:
    """Trains a backbone with ProxyGML to an embedder of images.

    The steps are functions of `keras_proxygml.training`, for programs that want other ones:
    `make_backbone`, `make_model`, `compile_for` and `with_preprocessing`. Training is Keras's
    `fit`.

    With an `output`, each epoch is saved. If the call is interrupted, the same call continues
    after the last whole epoch. Then the arguments and the images must be the same, but the recipe
    may have more epochs. A finished run is not trained again, even if a callback ended it early.

    Args:
        train: What to train on: `ImageFiles`, or a pair of arrays: RGB images
            `[n, height, width, 3]` from 0 to 255, and labels `[n]`, integers or names. Both are
            cropped and mirrored at random, as the recipe says.
        test: What to test on before training and after each epoch, preferably other classes. The
            same forms. Central crops of files are taken, and arrays are resized. By default,
            nothing is tested, and all images are trained on.
        backbone: A name, a file or a `keras.Model`, see `make_backbone`. `trainable` of its layers
            is ignored: to freeze layers, give `frozen_until`.
        recipe: A `Recipe`, or a name in `RECIPES`.
        output: Folder to write to and to continue from. By default, nothing is written. `open_run`
            reads it.
        weights: Of a backbone that is given by name, see `make_backbone`. Without them it starts at
            random, and its batch normalization learns, whatever the recipe says.
        preprocess: What the backbone needs instead of RGB of 0 to 255, see `make_backbone`.
        frozen_until: The layers of the backbone before the one of this name do not learn.
        shorter_side: Length of a test image's shorter side before the central crop, in pixels, at
            least the image size S. By default, rounded `S · 256 / 224` for files, and S for arrays.
        split: How the classes were divided, in words, for run.json.
        seed: Of weights, order and crops. It becomes Keras's global seed.
        callbacks: More callbacks of Keras, for each of the two phases. They see the metrics.
        verbose: As in `fit`. `"auto"` draws a bar in a terminal, and prints a line for each epoch
            elsewhere. 0 is silent.

    Returns:
        A `Result` with `embedder`, `model`, `history` and `metrics`.

    Raises:
        ValueError: If an argument is not allowed, there are too few classes or images, or the
            `output` has a run with other arguments or images.
        ImportError: If TensorFlow is missing, which reads and crops the images, or KerasHub where
            the backbone takes it.

    Example:

    >>> train, test = datasets.image_folder("photos", seed=0)  # doctest: +SKIP
    >>> result = fine_tune(  # doctest: +SKIP
    ...     train, test, backbone="EfficientNetV2B0", weights="imagenet", output="run"
    ... )
    >>> result.metrics["recall@1"], result.embedder.save("embedder.keras")  # doctest: +SKIP
    """
    recipe = as_recipe(recipe)
    if starts_at_random(backbone, weights):
        recipe = recipe.replace(freeze_batch_norm=False)  # its statistics are not trained yet
    check_integer("seed", seed, 0, 2**32 - 1)
    seed = int(seed)  # JSON has no NumPy numbers
    if shorter_side is not None:
        check_integer("shorter_side", shorter_side, 1)
        shorter_side = int(shorter_side)
    images = as_images("train", train)
    others = None if test is None else as_images("test", test)
    check_classes(recipe, images, others)
    arguments = {
        "backbone": backbone.name if isinstance(backbone, keras.Model) else str(backbone),
        "weights": None if weights is None else str(weights),
        "preprocess": name_of(preprocess),
        "frozen_until": frozen_until or None,
        "shorter_side": shorter_side,
        "seed": seed,
        "dtype_policy": keras.config.dtype_policy().name,
    }
    store = Store(output, recipe, arguments, split, (images, others), (backbone, weights))
    keras.utils.set_random_seed(seed)
    ready = make_backbone(
        backbone,
        image_size=recipe.image_size,
        weights=weights,
        preprocess=preprocess,
        any_size=natural_size(images, ANY_SIZE),
    )
    if verbose and backbone != "small" and starts_at_random(backbone, weights):
        print("The backbone starts at random. Pretrained weights are a better start.")
    options = {name: arguments[name] for name in ("frozen_until", "shorter_side", "seed")}
    training = Training.prepare(recipe, images, others, ready, **options)
    return _run(training, store, callbacks, verbose)


def _run(training, store, callbacks, verbose):
    """Tests, trains, tests again, and writes what is asked for."""
    say = print if verbose else lambda *_, **__: None
    epochs = training.recipe.epochs
    results = store.results_of_finished()
    if results:
        say(f"The run in {store.path} is finished: its last epoch was {store.kept}.")
        say("To train on, give more `epochs`. For a new run, give another `output`.")
    store.begin(training)
    before = store.before
    if before is None:
        say("Testing the model as it starts, which takes a while ...", flush=True)
        before = store.before = training.evaluate()
    if store.kept and not results:
        say(f"Going on after epoch {store.kept} of {epochs}.")
    start = time.time()
    history = training.fit(store.path, callbacks, verbose, is_finished=bool(results))
    seconds = results["seconds"] if results else time.time() - start
    after = results["after"] if results else training.metrics_of(history, callbacks)
    if not results:
        store.finish(training.embedder, before, after, seconds)
    return Result(training.embedder, training.model, history, after, before, seconds)
