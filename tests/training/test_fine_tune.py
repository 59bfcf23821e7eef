"""`fine_tune` trains in memory and into a folder, and continues to the same result."""

import csv
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from small_runs import RECIPE, backbone, files, pixels, train

import keras_proxygml
from keras_proxygml import retrieval_metrics
from keras_proxygml.training import epochs_kept, how_to_go_on, open_run, results_of_finished

pytestmark = pytest.mark.tensorflow
IMAGES, LABELS = pixels()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that is finished, with what `fine_tune` returned."""
    keras.utils.set_random_seed(0)
    output = tmp_path_factory.mktemp("finished") / "run"
    photos = files(output.parent / "photos")
    return output, photos, train(photos, output=output, split="by hand", shorter_side=12)


def vectors(embedder):
    return embedder.predict(IMAGES, verbose=0)


def test_the_embedder_is_what_the_metrics_say(finished):
    _, _, result = finished
    expected = retrieval_metrics(vectors(result.embedder), LABELS)
    assert {name: result.metrics[name] for name in expected if name in result.metrics} == (
        pytest.approx({n: v for n, v in expected.items() if n in result.metrics})
    )
    assert {"recall@1", "map@r", "nmi"} <= result.metrics.keys() & result.before.keys()
    assert result.history["val_map@r"][-1] == result.metrics["map@r"]
    assert len(result.history["loss"]) == RECIPE.epochs
    assert result.embedder.input_shape == (None, 12, 12, 3)
    assert result.embedder.output_shape == (None, 4)
    assert result.model.output_shape == (None, 4, 2)


def batch_norms(result):
    network = next(layer for layer in result.model.layers if isinstance(layer, keras.Model))
    return [x for x in network.layers if isinstance(x, keras.layers.BatchNormalization)]


def test_batch_norm_is_frozen_unless_the_backbone_starts_at_random(finished, tmp_path):
    assert not any(layer.trainable for layer in batch_norms(finished[-1]))
    recipe = RECIPE.replace(epochs=1, warm_up=0, image_size=16)
    assert recipe.freeze_batch_norm
    layers = batch_norms(train(backbone="small", recipe=recipe, test=None, output=tmp_path / "run"))
    assert layers
    assert all(layer.trainable for layer in layers)
    assert not open_run(tmp_path / "run").recipe.freeze_batch_norm


def test_a_warm_up_on_arrays_without_a_test_half(tmp_path):
    given = backbone()
    result = train(
        backbone=given, recipe=RECIPE.replace(epochs=1), test=None, output=tmp_path / "run"
    )
    (network,) = [layer for layer in result.model.layers if isinstance(layer, keras.Model)]
    kernel = network.get_layer("features").get_weights()[0]
    np.testing.assert_array_equal(kernel, given.get_layer("features").get_weights()[0])
    assert (result.metrics, result.before) == ({}, {})
    assert result.history.keys() == {"loss"}
    run = open_run(tmp_path / "run")
    assert run.results["after"] == {}
    for files_of in (run.train_files, run.test_files):
        with pytest.raises(ValueError, match="a run without image files for it"):
            files_of()


def test_a_run_folder_says_all(finished):
    output, photos, result = finished
    assert {path.name for path in output.iterdir()} == {
        "run.json", "images.csv", "log.csv", "tensorboard", "backup", "embedder.keras",
        "saved_model", "results.json",
    }  # fmt: skip
    run = open_run(output)
    described = run.description
    assert described["version"] == keras_proxygml.__version__
    assert (described["format"], described["backbone"], described["split"]) == (
        1,
        "tiny",
        "by hand",
    )
    assert (described["image_size"], described["shorter_side"]) == (12, 12)
    assert run.recipe == RECIPE
    assert run.class_names == ("a", "b", "c", "d")
    assert run.results["after"] == result.metrics
    assert run.results["before"] == described["before"] == result.before
    np.testing.assert_allclose(vectors(run.embedder), vectors(result.embedder), atol=1e-5)
    images, labels = next(iter(run.batches(run.test_files())))
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)
    np.testing.assert_array_equal(run.train_files().paths, photos.paths)
    with run.history_path.open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]


def test_images_that_moved_are_found_by_their_folder(finished, tmp_path):
    output, photos, _ = finished
    run = open_run(output)
    moved = files(tmp_path)
    np.testing.assert_array_equal(run.test_files(tmp_path).paths, moved.paths)
    with pytest.raises(FileNotFoundError, match=r"12 missing images.* as `directory`"):
        run.test_files(tmp_path / "elsewhere")
    assert len(photos) == 12


def test_a_finished_run_is_not_trained_again(finished, capsys):
    output, photos, result = finished
    written = (output / "embedder.keras").stat().st_mtime_ns
    again = train(photos, output=output, shorter_side=12, verbose=2)
    assert f"The run in {output} is finished: its last epoch was 2." in capsys.readouterr().out
    assert (output / "embedder.keras").stat().st_mtime_ns == written
    assert again.metrics == result.metrics
    assert again.history == result.history
    assert again.seconds == result.seconds
    np.testing.assert_allclose(vectors(again.embedder), vectors(result.embedder), atol=1e-5)


class EndAt(keras.callbacks.Callback):
    """Ends the training in an epoch, and then changes the weights, as EarlyStopping does."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch == self.epoch

    def on_train_end(self, logs=None):
        if self.model.stop_training:
            self.model.set_weights([weight / 2 for weight in self.model.get_weights()])


@pytest.mark.parametrize(
    ("recipe", "epochs"),
    [
        (RECIPE.replace(epochs=3, warm_up=0), ["0"]),
        (RECIPE.replace(epochs=3, warm_up=2), ["0", "2"]),
        (RECIPE.replace(epochs=2, warm_up=2), ["0"]),
    ],
)
def test_a_run_that_a_callback_ended_is_finished(tmp_path, capsys, recipe, epochs):
    options = {"recipe": recipe, "output": tmp_path / "run", "callbacks": [EndAt(0)]}
    result, run, last = train(**options), open_run(tmp_path / "run"), int(epochs[-1]) + 1
    assert (run.results["epochs"], run.results["last_epoch"]) == (recipe.epochs, last)
    assert results_of_finished(run.path, recipe.epochs) == run.results
    assert results_of_finished(run.path, recipe.epochs + 1) is None
    again = train(**options, verbose=2)
    assert f"is finished: its last epoch was {last}." in capsys.readouterr().out
    with run.history_path.open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == epochs
    assert again.metrics == result.metrics
    for got, wanted in zip(again.model.weights, result.model.weights, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_a_finished_run_of_before_the_last_epoch_was_written(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "run")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results.pop("last_epoch") == 2
    (tmp_path / "run" / "results.json").write_text(json.dumps(results))
    assert results_of_finished(tmp_path / "run", 2) == results
    assert results_of_finished(tmp_path / "run", 3) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": RECIPE.replace(scale=3.0)}, "a run with `scale` 5.0, not 3.0. Give the same"),
        ({"seed": 1}, "`seed` 0, not 1"),
        ({"recipe": RECIPE.replace(epochs=1)}, "`epochs` must be 2 or more, because the run in"),
        ({"train": pixels()}, "The images and files must be those of the run"),
        ({"test": None}, "The images and files must be those of the run"),
    ],
)
def test_another_run_is_not_continued(finished, options, message):
    output, photos, _ = finished
    options = {"train": photos, "output": output, "shorter_side": 12} | options
    with pytest.raises(ValueError, match=message):
        train(**options)


def test_a_model_by_another_name_continues_the_run(tmp_path):
    options = {"output": tmp_path / "run", "recipe": RECIPE.replace(epochs=1, warm_up=0)}
    train(**options)
    network = backbone()
    again = keras.Model(network.input, network.output, name="other")
    options["recipe"] = RECIPE.replace(epochs=2, warm_up=0)
    train(**options, backbone=again)
    assert open_run(tmp_path / "run").results["epochs"] == 2
    network.get_layer("features").kernel.assign(2 * network.get_layer("features").kernel)
    with pytest.raises(ValueError, match="changes in the file of `backbone`"):
        train(**options, backbone=again)


def test_a_training_that_goes_on_is_not_finished(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            raise KeyboardInterrupt

    options = {"output": tmp_path / "run"}
    train(**options, recipe=RECIPE.replace(epochs=1, warm_up=0))
    with pytest.raises(KeyboardInterrupt):
        train(**options, recipe=RECIPE.replace(epochs=3, warm_up=0), callbacks=[Interrupt()])
    with pytest.raises(ValueError, match="which has trained for 1 of 3 epochs"):
        open_run(tmp_path / "run")


def test_other_metrics_in_later_epochs_get_columns_of_their_own(tmp_path):
    class More(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["aaa"] = 7.0

    output = tmp_path / "run"
    before = train(output=output, recipe=RECIPE.replace(epochs=1, warm_up=0)).history
    recipe = RECIPE.replace(epochs=2, warm_up=0)
    history = train(output=output, recipe=recipe, callbacks=[More()]).history
    assert history["aaa"] == pytest.approx([np.nan, 7], nan_ok=True)
    assert {name: values[:1] for name, values in history.items() if name != "aaa"} == before
    assert train(output=output, recipe=recipe).history["loss"] == history["loss"]


@pytest.mark.parametrize("name", ["log.csv", "embedder.keras", "saved_model"])
def test_files_of_a_folder_that_is_no_run_stay(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=f"be a new folder, or hold a run.*holds {name} and no"):
        train(output=tmp_path)
    assert (tmp_path / name).read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_run_from_before_the_mask_was_a_setting_had_it(finished, tmp_path):
    output, photos, result = finished
    old = tmp_path / "run"
    shutil.copytree(output, old)
    description = json.loads((old / "run.json").read_text())
    del description["recipe"]["masked"]
    (old / "run.json").write_text(json.dumps(description))
    assert open_run(old).recipe.masked
    with pytest.raises(ValueError, match="a run with `masked` True, not False"):
        train(photos, output=old, shorter_side=12, recipe=RECIPE.replace(masked=False))
    assert train(photos, output=old, shorter_side=12).metrics == result.metrics


class Stop(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 3])  # after the warm-up, and in the training
def test_an_interrupted_run_ends_as_one_that_is_not(tmp_path, capsys, epoch):
    output, network = tmp_path / "run", backbone()
    dropped = keras.layers.Dropout(0.5)(network.output)  # it draws on where it was interrupted
    options = {
        "recipe": RECIPE.replace(epochs=4),
        "backbone": keras.Model(network.input, dropped, name="tiny"),
    }
    whole = train(**options)
    with pytest.raises(KeyboardInterrupt):
        train(**options, output=output, callbacks=[Stop(epoch)])
    assert epochs_kept(output) == epoch
    assert f"up to epoch {epoch}: the same command goes on" in how_to_go_on(output)
    assert results_of_finished(output, 4) is None
    with pytest.raises(ValueError, match=f"has trained for {epoch} of 4 epochs. Start the train"):
        open_run(output)
    rest = train(**options, output=output, verbose=2)
    assert f"Going on after epoch {epoch} of 4." in capsys.readouterr().out
    assert rest.before["map@r"] == pytest.approx(whole.before["map@r"])
    assert rest.history["loss"] == pytest.approx(whole.history["loss"], rel=1e-4)
    np.testing.assert_allclose(
        vectors(rest.embedder), vectors(whole.embedder), rtol=1e-3, atol=1e-4
    )
    assert results_of_finished(output, 4)["after"] == rest.metrics
    assert how_to_go_on(tmp_path / "new").startswith("Stopped before the first epoch was over")


def test_numpy_numbers_and_a_path_are_the_same_run(tmp_path):
    network = backbone()
    network.save(tmp_path / "tiny.keras")
    options = {"output": tmp_path / "run", "recipe": RECIPE.replace(epochs=1)}
    train(**options, backbone=str(tmp_path / "tiny.keras"), shorter_side=12, seed=3)
    numbers = {"shorter_side": np.int64(12), "seed": np.int64(3)}
    options["recipe"] = RECIPE.replace(epochs=np.int64(2), scale=np.float32(5))
    train(**options, backbone=tmp_path / "tiny.keras", **numbers)
    assert open_run(tmp_path / "run").recipe == RECIPE


@pytest.mark.slow
def test_more_epochs_continue_a_finished_run(tmp_path):
    output = tmp_path / "run"
    train(output=output)
    more = train(output=output, recipe=RECIPE.replace(epochs=3))
    assert len(more.history["loss"]) == 3
    assert open_run(output).recipe.epochs == 3
    assert open_run(output).results["epochs"] == 3


def test_nothing_is_written_if_an_argument_is_wrong(tmp_path):
    output = tmp_path / "run"
    for wrong in (
        {"frozen_until": "conv9"},
        {"shorter_side": 7},
        {"shorter_side": 12.5},
        {"seed": -1},
        {"seed": 2**32},
        {"recipe": "x"},
    ):
        with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must"):
            train(output=output, **wrong)
    assert not output.exists()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="`output` must be a folder, or a new path"):
        train(output=tmp_path / "file")


def test_a_preprocessing_that_is_no_part_of_a_model_is_refused_before_the_training(tmp_path):
    import tensorflow as tf

    def of_tensorflow(images):
        return tf.cast(images, tf.float32) / 127.5 - 1

    message = (
        r"`preprocess` must be a layer, .*of_tensorflow \(A KerasTensor .* Use keras.ops in it"
    )
    with pytest.raises(ValueError, match=f"(?s){message}"):
        train(output=tmp_path / "run", preprocess=of_tensorflow)
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore:Skipped")
def test_a_broken_image_to_test_on_is_left_out(tmp_path):
    photos = files(tmp_path, images=33)  # one more than a batch
    Path(photos.paths[5]).write_bytes(b"")
    recipe = RECIPE.replace(epochs=1, warm_up=0, image_size=16)
    result = train(test=photos, backbone="small", recipe=recipe)  # convolutions
    assert 0 <= result.metrics["recall@1"] <= 1


def test_other_versions_of_the_folder_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"with run.json. Received: .* which has none"):
        open_run(tmp_path)
    with pytest.raises(FileNotFoundError, match="which is no folder"):
        open_run(tmp_path / "new")
    (tmp_path / "arguments.json").write_text("{}")
    for use in (open_run, lambda path: train(output=path)):
        with pytest.raises(ValueError, match=r"a run of an earlier version, with arguments.json"):
            use(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"format": 2, "version": "9.0"}))
    for use in (open_run, lambda path: train(output=path)):
        with pytest.raises(ValueError, match=r"of format 2. 9.0 of keras-proxygml wrote it"):
            use(tmp_path)
