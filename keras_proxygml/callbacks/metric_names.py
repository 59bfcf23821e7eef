"""Names of metrics that every tool takes."""

import functools
import sys


def plain_names(metrics):
    """Renames `recall@1` to `recall_at_1` and `map@r` to `map_at_r`.

    Args:
        metrics: A dict by name.

    Returns:
        A new dict, without `@` in its names.
    """
    return {name.replace("@", "_at_"): value for name, value in metrics.items()}


def rename_for_mlflow():
    """Has MLflow's Keras callbacks write plain names, where they are loaded.

    MLflow refuses a whole epoch, the loss included, for one name with `@`. Under its autologging
    its callback comes after all others, and no callback of ours can step in between: `logs` is one
    dict, in which `EarlyStopping` needs the names as the user wrote them.
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
