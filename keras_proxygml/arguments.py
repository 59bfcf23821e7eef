"""Checks of numbers that users give as arguments."""

import math
import numbers


def check_integer(name, value, minimum):
    """Raises unless a value is an integer, Python's or NumPy's, of some size.

    Args:
        name: Name of the argument.
        value: What came for it.
        minimum: The least that is allowed.

    Raises:
        ValueError: If `value` is no integer or too small.
    """
    # bool is an int in Python.
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < minimum:
        raise ValueError(f"{name}={value!r} is not allowed. Give an integer of {minimum} or more.")


def check_positive(name, value, usual):
    """Raises unless a number is above 0 and finite.

    Args:
        name: Name of the argument.
        value: What came for it.
        usual: A value that the error proposes.

    Raises:
        ValueError: If `value` is no number, or 0, negative, infinite or NaN.
    """
    if not isinstance(value, numbers.Real) or not 0 < value < math.inf:
        raise ValueError(
            f"{name}={value!r} is not allowed. Give a finite number above 0, such as {usual}."
        )


def check_not_negative(name, value, usual):
    """Raises unless a number is 0 or more and finite.

    Args:
        name: Name of the argument.
        value: What came for it.
        usual: A value that the error proposes.

    Raises:
        ValueError: If `value` is no number, or negative, infinite or NaN.
    """
    if not isinstance(value, numbers.Real) or not 0 <= value < math.inf:
        raise ValueError(
            f"{name}={value!r} is not allowed. Give a finite number of 0 or more, such as {usual}."
        )
