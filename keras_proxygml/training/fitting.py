"""Training in one phase or two, each of which continues where it was interrupted."""

import dataclasses
import sys

import keras

from keras_proxygml.callbacks import RetrievalEvaluation
from keras_proxygml.models import embedder_of
from keras_proxygml.training.backbones import Backbone
from keras_proxygml.training.backup import Backup, epochs_done
from keras_proxygml.training.folder import BACKUP, LOG, Log, epochs_kept, read_log, trim_log
from keras_proxygml.training.images import (
    Images,
    batches_to_test,
    batches_to_train,
    side_before_crop,
)
from keras_proxygml.training.models import compile_for, make_model, with_preprocessing
from keras_proxygml.training.recipes import Recipe


@dataclasses.dataclass
class Training:
    """A model with its backbone, its images and the evaluation, ready to be trained."""

    recipe: Recipe
    train: Images
    backbone: Backbone
    model: keras.Model
    embedder: keras.Model  # of RGB images of 0 to 255
    evaluation: RetrievalEvaluation | None
    shorter_side: int | None
    frozen_until: str | None
    seed: int

    @classmethod
    def prepare(cls, recipe, train, test, backbone, *, frozen_until, shorter_side, seed):
        """Makes the model and the evaluation. Errors of the arguments are raised now."""
        size = backbone.image_size
        model = make_model(backbone.model, len(train.class_names), recipe, image_size=size)
        embedder, evaluation = embedder_of(model), None
        shorter_side = side_before_crop(train if test is None else test, size, shorter_side)
        if test is not None:
            options = {"image_size": size, "shorter_side": shorter_side}
            batches = batches_to_test(test, preprocess=backbone.preprocess, **options)
            evaluation = RetrievalEvaluation(batches, embedder)
        training = cls(
            recipe=recipe,
            train=train,
            backbone=backbone,
            model=model,
            embedder=with_preprocessing(embedder, backbone.preprocess),
            evaluation=evaluation,
            shorter_side=shorter_side,
            frozen_until=frozen_until,
            seed=seed,
        )
        training.compile("training")
        training.batches()
        return training

    def compile(self, phase):
        steps = -(-len(self.train) // self.recipe.batch_size)
        arguments = self.model, self.backbone.network, self.recipe
        compile_for(phase, *arguments, steps=steps, frozen_until=self.frozen_until)

    def batches(self, first_epoch=0):
        return batches_to_train(
            self.train,
            self.recipe,
            image_size=self.backbone.image_size,
            preprocess=self.backbone.preprocess,
            seed=self.seed,
            first_epoch=first_epoch,
        )

    def evaluate(self) -> dict[str, float]:
        return self.evaluation.evaluate() if self.evaluation else {}

    def metrics_of(self, history, callbacks):
        """Returns the metrics after training, which the last epoch may have measured."""
        last = {n[4:]: x[-1] for n, x in history.items() if n.startswith("val_") and x}
        # Other callbacks may change the weights after that, such as EarlyStopping.
        return last if last and not callbacks else self.evaluate()

    def phases(self):
        """Yields the name of each phase, and the epochs before and at its end."""
        warm_up = min(self.recipe.warm_up, self.recipe.epochs)
        if warm_up:
            yield "warm_up", 0, warm_up
        yield "training", warm_up, self.recipe.epochs

    def fit(self, output, callbacks, verbose, is_finished=False) -> dict[str, list[float]]:
        """Trains. Continues what is in the output folder, if there is one.

        If the run in it is finished, this trains nothing: it loads the weights of its end.

        Returns:
            The history of all epochs.
        """
        history: dict[str, list[float]] = {}

        def done(phase):
            return epochs_done(output / BACKUP / phase) if output else 0

        if output:
            trim_log(output / LOG, epochs_kept(output))
        for phase, begin, end in self.phases():
            if phase == "warm_up" and done("training"):
                continue  # a callback may have ended the warm-up before its last epoch
            self.compile(phase)
            first = end if is_finished else max(begin, done(phase))
            evaluation = [self.evaluation] if self.evaluation else []
            fitted = self.model.fit(
                self.batches(first),
                epochs=end,
                initial_epoch=first,
                callbacks=[*evaluation, *callbacks, *_writers(output, phase)],
                shuffle=False,
                # A bar, or a line for each epoch.
                verbose=verbose if verbose != "auto" else 1 if sys.stdout.isatty() else 2,
            )
            for name, values in fitted.history.items():
                history.setdefault(name, []).extend(map(float, values))
        return read_log(output / LOG) if output else history


def _writers(output, phase):
    """The callbacks that write to the run folder."""
    if output is None:
        return []
    board = keras.callbacks.TensorBoard(output / "tensorboard")
    return [Log(output / LOG), board, Backup(output / BACKUP / phase)]
