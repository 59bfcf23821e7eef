"""The picture of training: what is in it."""

import keras
import numpy as np
import pytest

from keras_proxygml import visualization


def test_history_draws_what_was_measured():
    history = {"loss": [3, 2, 1, 0.5], "val_recall@1": [0.4, 0.8], "val_seconds": [1, 1]}
    figure = visualization.plot_history(history, baseline={"recall@1": 0.1, "nmi": 0.3}, every=2)
    loss, metrics = figure.axes
    assert list(loss.lines[0].get_ydata()) == [3, 2, 1, 0.5]
    (line,) = metrics.lines
    assert list(line.get_xdata()) == [0, 2, 4]
    assert list(line.get_ydata()) == [0.1, 0.4, 0.8]
    with pytest.raises(ValueError, match=r"Received: .* and a history of \('loss',\)"):
        visualization.plot_history({"loss": [1]})


def curve(axes, name="recall@1"):
    (line,) = [line for line in axes.lines if line.get_label() == name] if name else axes.lines
    return list(zip(line.get_xdata(), line.get_ydata(), strict=True))


def history(first, **values):
    """What `fit(initial_epoch=first)` returns."""
    made = keras.callbacks.History()
    made.on_train_begin()
    for i in range(len(values["loss"])):
        made.epoch.append(first + i)
    made.history = {name.replace("recall", "recall@1"): x for name, x in values.items()}
    return made


def drawn(*args, **kwargs):
    loss, metrics = visualization.plot_history(*args, **kwargs).axes
    return curve(loss, None), curve(metrics)


def test_epochs_are_those_of_the_fit():
    loss, recall = drawn(history(1, loss=[3, 2], val_recall=[0.4, 0.8]), baseline={"recall@1": 0.1})
    assert loss == [(2, 3), (3, 2)]
    assert recall == [(1, 0.1), (2, 0.4), (3, 0.8)]


def test_histories_are_joined():
    warm_up = history(0, loss=[5], val_recall=[0.2])
    rest = history(1, loss=[3, 2, 1], val_recall=[0.4, 0.8, 0.9])
    ended = history(4, loss=[])
    loss, recall = drawn([warm_up, rest, ended], baseline={"recall@1": 0.1})
    assert loss == [(1, 5), (2, 3), (3, 2), (4, 1)]
    assert recall == [(0, 0.1), (1, 0.2), (2, 0.4), (3, 0.8), (4, 0.9)]


def test_a_history_that_begins_again_follows_the_one_before():
    first, second = {"loss": [5, 4], "val_recall@1": [0.2, 0.3]}, history(0, loss=[3, 2])
    third = history(1, loss=[7, 1])  # from the first epoch of the second on
    loss, recall = drawn([first, second, third])
    assert loss == [(1, 5), (2, 4), (3, 3), (4, 7), (5, 1)]
    assert recall == [(1, 0.2), (2, 0.3)]


def test_metrics_of_some_epochs_are_at_these_epochs():
    warm_up = history(0, loss=[5])
    rest = history(1, loss=[4, 3, 2, 1], val_recall=[0.4, 0.8])
    expected = [(2, 0.4), (4, 0.8)]
    for given in (rest, [warm_up, rest]):
        for every in (None, 2):
            assert drawn(given, every=every)[1] == expected
    assert drawn({"loss": [1] * 9, "val_recall@1": [0.1, 0.2, 0.3]})[1] == [
        (3, 0.1),
        (6, 0.2),
        (9, 0.3),
    ]
    # One value in five epochs: of the third, the fourth or the fifth?
    one = history(0, loss=[5, 4, 3, 2, 1], val_recall=[0.4])
    assert drawn(one, every=4)[1] == [(4, 0.4)]
    for every in (None, 2):
        with pytest.raises(ValueError, match=rf"Received: every={every} for 1 values in the epoch"):
            drawn(one, every=every)


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_log_of_the_csv_logger_is_drawn(tmp_path, separator):
    path = tmp_path / "log.csv"
    logs = [
        {"loss": 3.0, "val_recall@1": 0.2, "val_nmi": 0.5, "list": [1, 2]},
        {"loss": 2.0, "val_nmi": 0.6, "list": [1, 2]},
        {"loss": 9.0, "val_recall@1": 0.9, "val_nmi": 0.9, "list": [1, 2]},
        {"loss": 1.0, "val_recall@1": 0.8, "val_nmi": 0.7, "list": [1, 2]},
    ]
    for first, run in ((0, logs[:3]), (2, logs[3:])):  # the second trained the third epoch again
        logger = keras.callbacks.CSVLogger(path, separator, append=True)
        logger.set_model(keras.Sequential())
        logger.on_train_begin()
        for epoch, values in enumerate(run, first):
            logger.on_epoch_end(epoch, values)
        logger.on_train_end()
    for given in (path, str(path), [path]):
        loss, metrics = visualization.plot_history(given).axes
        assert curve(loss, None) == [(1, 3.0), (2, 2.0), (3, 1.0)]
        assert curve(metrics) == [(1, 0.2), (3, 0.8)]
        assert curve(metrics, "nmi") == [(1, 0.5), (2, 0.6), (3, 0.7)]


def test_a_log_of_two_trainings_and_a_history_are_joined(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss,val_recall@1\n0,5,0.1\n1,4,0.2\n0,3,0.3\n1,2,0.4\n")
    loss, recall = drawn([path, history(2, loss=[1], val_recall=[0.5])])
    assert loss == [(1, 5), (2, 4), (3, 3), (4, 2), (5, 1)]
    assert recall == [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4), (5, 0.5)]


def test_a_log_with_other_columns_in_a_later_run_is_refused(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss,val_map@r,val_recall@1\n0,5,0.1,0.3\n1,4,0.2\n")
    with pytest.raises(ValueError, match=r"as many columns as its head\. Received: .* '1,4,0\.2'"):
        visualization.plot_history(path)


@pytest.mark.parametrize("text", ["", "loss,epoch\n1,2\n", "epoch\n0\n"])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(
        ValueError, match=r"must be a file of keras\.callbacks\.CSVLogger.*log\.csv"
    ):
        visualization.plot_history(path)


def test_metrics_above_one_and_one_metric_alone():
    given = {"loss": [3, 2], "val_loss": [4.0, 5.0]}
    _, metrics = visualization.plot_history(given, "val_loss").axes
    assert metrics.get_ylim()[1] > 5
    _, metrics = visualization.plot_history({"val_nmi": [0.1, 0.9]}).axes
    assert metrics.get_ylim() == (0, 1)


def test_nothing_was_trained():
    with pytest.raises(ValueError, match=r"and a history of \(\)"):
        visualization.plot_history(history(3, loss=[]))


def test_a_real_fit_has_these_epochs(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = np.zeros((4, 2)), np.zeros((4, 1))
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv", append=True)
    fits = [
        model.fit(
            *data, initial_epoch=first, epochs=last, callbacks=[log], verbose=0,
            validation_data=data, validation_freq=2,
        )
        for first, last in ((0, 1), (1, 5))
    ]  # fmt: skip
    _, metrics = visualization.plot_history(fits, "val_loss").axes
    assert [x for x, _ in curve(metrics, "loss")] == [2, 4]
    _, metrics = visualization.plot_history(tmp_path / "log.csv", "val_loss").axes
    assert [x for x, _ in curve(metrics, "loss")] == [2, 4]
