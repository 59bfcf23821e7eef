"""Names of metrics that every tool accepts."""

import functools
import sys
from collections.abc import Mapping


def plain_names(metrics: Mapping[str, float]) -> dict[str, float]:
    """Renames `recall@1` to `recall_at_1` and `tar@far=0.01` to `tar_at_far_0_01`.

    Args:
        metrics: A dict by name.

    Returns:
        A new dict, without `@` and `=` in its names, and without points in a rate.
    """
    return {_plain(name): value for name, value in metrics.items()}


def _plain(name):
    name, equals, rate = name.replace("@", "_at_").partition("=")
    # A name with a point can't be part of a ModelCheckpoint's path.
    return f"{name}_{rate.replace('.', '_')}" if equals else name


def rename_for_mlflow() -> None:
    """Makes MLflow's Keras callbacks write plain names, if MLflow is loaded.

    MLflow refuses all values of an epoch, even the loss, if one name has an `@` or a `=`. Its
    autologging adds a callback after all others, and all callbacks share one dict `logs`. We can't
    rename the metrics in `logs`, because `EarlyStopping` looks up the names that the user wrote.
    """
    for flavor in ("mlflow.keras", "mlflow.tensorflow"):
        callback = getattr(sys.modules.get(flavor), "MlflowCallback", None)
        if callback is None or hasattr(callback.on_epoch_end, "takes_any_name"):
            continue
        callback.on_epoch_end = _with_plain_names(callback.on_epoch_end)


def _with_plain_names(on_epoch_end):
    @functools.wraps(on_epoch_end)
    def renamed(self, epoch, logs=None):
        return on_epoch_end(self, epoch, logs and plain_names(logs))

    renamed.takes_any_name = True
    return renamed
