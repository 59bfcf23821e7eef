"""The one gate for what users give: each function checks one kind of argument.

Every message has one form: `` `name` must be … . Received: … . `` and, where it helps, a hint.
"""

import math
import numbers


def refuse(name, allowed, received, hint=""):
    """Raises the error that every check raises.

    Args:
        name: Name of the argument.
        allowed: What it must be, as the words after "must".
        received: What was given instead, in words.
        hint: A sentence on what to do.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"`{name}` must {allowed}. Received: {received}.{f' {hint}' if hint else ''}")


def check_integer(name, value, minimum, maximum=None, hint=""):
    """Raises unless a value is an integer, Python's or NumPy's, within bounds.

    Args:
        name: Name of the argument.
        value: What was given for it.
        minimum: The smallest integer that is allowed.
        maximum: The largest integer that is allowed, or `None`.
        hint: A sentence on what to do.

    Raises:
        ValueError: If `value` is no integer or out of bounds.
    """
    # bool is an int in Python.
    is_integer = hasattr(value, "__index__") and not isinstance(value, bool)
    if not is_integer or value < minimum or (maximum is not None and value > maximum):
        most = "or more" if maximum is None else f"to {maximum}"
        refuse(name, f"be an integer of {minimum} {most}", f"{name}={value!r}", hint)


def check_number(name, value, interval, hint=""):
    """Raises unless a value is a number of an interval.

    Args:
        name: Name of the argument.
        value: What was given for it.
        interval: The interval in mathematical notation, for instance "(0, 1]" or "[0, inf)".
        hint: A sentence on what to do.

    Raises:
        ValueError: If `value` is no real number, NaN, or outside the interval.
    """
    low, high = map(float, interval[1:-1].split(","))
    is_real = isinstance(value, numbers.Real) and not math.isnan(value)
    is_above = is_real and (value > low or (value == low and interval[0] == "["))
    is_below = is_real and (value < high or (value == high and interval[-1] == "]"))
    if not (is_above and is_below):
        refuse(name, f"be in {interval}", f"{name}={value!r}", hint)


def check_choice(name, value, choices, hint=""):
    """Raises unless a value is one of several.

    Args:
        name: Name of the argument.
        value: What was given for it.
        choices: What is allowed.
        hint: A sentence on what to do.

    Raises:
        ValueError: If `value` is not among `choices`.
    """
    *first, last = map(repr, choices)
    if value not in tuple(choices):
        allowed = f"{', '.join(first)} or {last}" if first else last
        refuse(name, f"be {allowed}", f"{name}={value!r}", hint)
