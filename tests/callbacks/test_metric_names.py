"""Names of metrics in the tools that read `logs`: MLflow refuses some."""

import re
import sys
import types

import keras
import pytest
import small

from keras_proxygml import RetrievalEvaluation

TEST = small.data(60, seed=1)
# mlflow.utils.validation, on systems other than Windows, whose rule is narrower by the colon.
MLFLOW_TAKES = re.compile(r"^[/\w.\- ]*$")


class MlflowCallback(keras.callbacks.Callback):
    """Refuses all that it gets for one name, as MLflow's does."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        refused = [name for name in logs if not MLFLOW_TAKES.match(name)]
        if not refused:
            self.epochs.append(dict(logs))


def fit(*callbacks, epochs=3):
    model = small.model()
    return model.fit(
        *small.data(), callbacks=[*callbacks], epochs=epochs, batch_size=16, verbose=0
    ).history


def test_mlflow_gets_every_metric_and_early_stopping_its_name(monkeypatch):
    class Fresh(MlflowCallback):
        on_epoch_end = MlflowCallback.on_epoch_end

    monkeypatch.setitem(sys.modules, "mlflow.keras", types.SimpleNamespace(MlflowCallback=Fresh))
    for _ in range(2):
        mlflow = Fresh()
        # MAP@R can't rise by 2: it stops after the second epoch.
        stopping = keras.callbacks.EarlyStopping("val_map@r", mode="max", patience=1, min_delta=2)
        history = fit(RetrievalEvaluation(TEST), stopping, mlflow)
        assert len(history["loss"]) == len(mlflow.epochs) == 2
        assert {"loss", "val_recall_at_1", "val_map_at_r", "val_nmi"} < set(mlflow.epochs[0])
        for name, values in history.items():
            logged = [epoch[name.replace("@", "_at_")] for epoch in mlflow.epochs]
            assert logged == pytest.approx(values)


def test_every_tool_takes_the_plain_names_of_verification(tmp_path):
    mlflow = MlflowCallback()
    evaluation = RetrievalEvaluation(TEST, verification=True, plain_names=True, prefix="val_a.b_")
    path = tmp_path / "{val_eer:.3f}-{val_tar_at_far_0_01:.3f}.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(path)
    other = RetrievalEvaluation(TEST, verification=True, plain_names=True)
    history = fit(evaluation, other, mlflow, checkpoint, epochs=1)
    assert len(mlflow.epochs) == 1
    assert {"val_a.b_tar_at_far_0_01", "val_threshold_at_far_0_0001"} < set(mlflow.epochs[0])
    name = f"{history['val_eer'][0]:.3f}-{history['val_tar_at_far_0_01'][0]:.3f}.keras"
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_plain_names_for_every_tool(tmp_path):
    mlflow = MlflowCallback()  # not known to the library, like any other tool
    callbacks = [
        RetrievalEvaluation(TEST, plain_names=True),
        keras.callbacks.ModelCheckpoint(tmp_path / "{val_recall_at_1:.3f}.keras"),
        keras.callbacks.EarlyStopping("val_map_at_r", mode="max", patience=1, min_delta=2),
        mlflow,
    ]
    history = fit(*callbacks)
    assert len(mlflow.epochs) == 2
    assert not [name for name in history if "@" in name]
    names = {f"{recall:.3f}.keras" for recall in history["val_recall_at_1"]}
    assert {path.name for path in tmp_path.iterdir()} == names


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("autolog", [False, True])
def test_mlflow_itself(tmp_path, autolog):
    pytest.importorskip("pandas")
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    callbacks = [RetrievalEvaluation(TEST)]
    if autolog:
        mlflow.keras.autolog(log_models=False, log_datasets=False)
    else:
        callbacks.append(mlflow.keras.MlflowCallback())
    model = small.model()
    history = model.fit(*small.data(), callbacks=callbacks, epochs=1, verbose=0).history
    mlflow.keras.autolog(disable=True)
    mlflow.flush_async_logging()
    logged = mlflow.get_run(mlflow.last_active_run().info.run_id).data.metrics
    expected = {name.replace("@", "_at_"): values[-1] for name, values in history.items()}
    assert logged == pytest.approx(expected)
    mlflow.end_run()
