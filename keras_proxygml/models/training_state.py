"""How a model is compiled, and the state of its optimizer, for a copy with more classes."""

import keras

from keras_proxygml.checks import refuse
from keras_proxygml.models.copies import copied_values


def compile_alike(copy, model, num_classes):
    """Compiles a copy as its model is compiled, and lets its optimizer go on where the old one is.

    Args:
        copy: The copy, with more classes and the same weights otherwise.
        model: The model, compiled.
        num_classes: C and C + m, how many classes `model` and `copy` have.

    Raises:
        ValueError: If the optimizer holds slots of weights that are not the model's.
    """

    def renewed(part):
        return _renewed(part, num_classes)

    config = dict(model._compile_config.config)
    for name in ("loss", "metrics", "weighted_metrics"):
        config[name] = keras.tree.map_structure(renewed, config[name])
    config["optimizer"] = _new_optimizer(config["optimizer"])
    scales = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    copy.compile(**config, auto_scale_loss=scales)
    if model.optimizer is not None and model.optimizer.built:
        _build_for(copy, model)
        _copy_slots(model.optimizer, copy.optimizer)
        _start_averages(copy.optimizer, num_classes[0])


def _renewed(part, num_classes):
    """A metric without its state. A loss has none. Both may know the number of classes."""
    is_metric = isinstance(part, keras.metrics.Metric)
    if not is_metric and not isinstance(part, keras.losses.Loss):
        return part
    config = part.get_config()
    knows = config.get("num_classes") == num_classes[0]
    if knows:
        config["num_classes"] = num_classes[1]
    return type(part).from_config(config) if is_metric or knows else part


def _new_optimizer(optimizer):
    if optimizer is None:
        return None
    config = optimizer.get_config()
    if not isinstance(optimizer._learning_rate, keras.Variable):
        # A schedule or a function holds no state. It need not be registered with Keras.
        config["learning_rate"] = optimizer._learning_rate
    return type(optimizer).from_config(config)


def _build_for(copy, model):
    """Builds the copy's optimizer for the weights that the model's was built for."""
    counterparts = {id(old): new for old, new in zip(model.variables, copy.variables, strict=False)}
    known = model.optimizer._trainable_variables
    if any(id(variable) not in counterparts for variable in known):
        refuse(
            "model",
            "be compiled with an optimizer of its own weights only",
            f"{model.name}, whose {model.optimizer.name} has trained other weights too",
            "Compile it with a new optimizer first.",
        )
    copy.optimizer.build([counterparts[id(variable)] for variable in known])


def _copy_slots(old_optimizer, new_optimizer):
    """Copies all variables of an optimizer. A slot of proxies has more rows than before."""
    pairs = zip(old_optimizer.variables, new_optimizer.variables, strict=True)
    for old, new in pairs:
        values = copied_values(old)
        if old.shape != new.shape:
            rows = copied_values(new)  # those of the new proxies stay
            rows[: len(values)] = values
            values = rows
        new.assign(values)


def _start_averages(optimizer, num_classes):
    """Starts the moving averages of the new proxies, if there are any, at the proxies."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not optimizer.use_ema:
        return
    weights = optimizer._trainable_variables
    for weight, average in zip(weights, optimizer._model_variables_moving_average, strict=True):
        if weight.name == "proxies":
            values = copied_values(average)
            values[num_classes:] = copied_values(weight)[num_classes:]
            average.assign(values)
