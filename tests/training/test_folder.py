"""A kill or a full disk at any moment leaves a run folder that can be read and continued."""

import errno
import json
import os

import keras
import numpy as np
import pytest

from keras_proxygml.training import folder
from keras_proxygml.training.backup import Backup, epochs_done


def compiled():
    layers = [keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((2,)), *layers])
    model.compile("adam", "mse")
    return model


def backup(model, path):
    callback = Backup(path)
    callback.set_model(model)
    return callback


def state_of(model):
    # The variables of a model are its weights and random states.
    return [np.asarray(v) for v in (*model.variables, *model.optimizer.variables)]


def test_weights_optimizer_and_random_states_come_back(tmp_path):
    model = compiled()
    model.fit(np.ones((4, 2)), np.ones(4), verbose=0)
    backup(model, tmp_path).on_epoch_end(6)
    assert epochs_done(tmp_path) == 7
    assert sorted(p.name for p in tmp_path.iterdir()) == ["epoch_7.weights.h5", "state.json"]
    other = compiled()
    backup(other, tmp_path).on_train_begin()
    for got, wanted in zip(state_of(other), state_of(model), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_a_backup_of_before_random_states_were_saved(tmp_path):
    model, other = compiled(), compiled()
    model.fit(np.ones((4, 2)), np.ones(4), verbose=0)
    backup(model, tmp_path).on_epoch_end(0)
    state = json.loads((tmp_path / "state.json").read_text())
    assert len(state.pop("random")) == 1
    (tmp_path / "state.json").write_text(json.dumps(state))
    backup(other, tmp_path).on_train_begin()
    for got, wanted in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_weights_that_another_callback_leaves_at_the_end_are_saved(tmp_path):
    model, other = compiled(), compiled()
    callback = backup(model, tmp_path)
    callback.on_train_end()  # no epoch was trained
    assert not list(tmp_path.iterdir())
    model.fit(np.ones((4, 2)), np.ones(4), verbose=0)
    callback.on_epoch_end(0)
    model.set_weights([weight + 1 for weight in model.get_weights()])
    callback.on_train_end()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["epoch_1.weights.h5", "state.json"]
    backup(other, tmp_path).on_train_begin()
    for got, wanted in zip(state_of(other), state_of(model), strict=True):
        np.testing.assert_array_equal(got, wanted)


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("step", ["weights", "state"])
def test_a_full_disk_leaves_the_last_state(tmp_path, monkeypatch, step):
    model = compiled()
    model.fit(np.ones((4, 2)), np.ones(4), verbose=0)
    callback = backup(model, tmp_path)
    callback.on_epoch_end(0)
    before = state_of(model)
    model.fit(np.ones((4, 2)), np.ones(4), verbose=0)

    def partly(path, **_):
        path.write_bytes(b"part")
        no_space()

    with monkeypatch.context() as patch:
        if step == "weights":
            patch.setattr(model, "save_weights", partly)
        else:
            patch.setattr("keras_proxygml.training.backup.replace_file", no_space)
        with pytest.raises(OSError, match="No space left"):
            callback.on_epoch_end(1)
    assert epochs_done(tmp_path) == 1
    other = compiled()
    backup(other, tmp_path).on_train_begin()
    for got, wanted in zip(state_of(other), before, strict=True):
        np.testing.assert_array_equal(got, wanted)
    callback.on_epoch_end(1)  # there is space again
    assert epochs_done(tmp_path) == 2
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.tensorflow
def test_a_kill_while_the_embedder_is_written_leaves_the_old_one(tmp_path, monkeypatch):
    old, new = compiled(), compiled()
    folder.finish(tmp_path, old, {"epochs": 1}, None)
    monkeypatch.setattr(folder, "export", no_space)
    with pytest.raises(OSError, match="No space left"):
        folder.finish(tmp_path, new, {"epochs": 2}, None)
    assert folder.read_json(tmp_path / "results.json") == {"epochs": 1}
    assert (tmp_path / "saved_model" / "saved_model.pb").is_file()
    monkeypatch.undo()
    folder.finish(tmp_path, new, {"epochs": 2}, None)
    embedder = keras.models.load_model(tmp_path / "embedder.keras", compile=False)
    np.testing.assert_array_equal(embedder.get_weights()[0], new.get_weights()[0])
    names = ["embedder.keras", "results.json", "saved_model"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_rows_of_the_log_that_come_again_or_are_torn_are_removed(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("epoch,loss,val_x\n0,1.5,0.1\n1,1.25,NA\n2,1,0.3\n3,0.")
    folder.trim_log(log, 4)
    assert log.read_text() == "epoch,loss,val_x\n0,1.5,0.1\n1,1.25,NA\n2,1,0.3\n"
    folder.trim_log(log, 2)
    history = folder.read_log(log)
    assert history["loss"] == [1.5, 1.25]
    assert history["val_x"][0] == 0.1
    assert np.isnan(history["val_x"][1])
    folder.trim_log(log, 0)
    assert folder.read_log(log) == {}
