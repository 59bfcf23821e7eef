"""Checks of the numbers that losses take as arguments."""

import math


def check_positive(name, value, usual):
    """Raises unless a number is above 0 and finite.

    Args:
        name: Name of the argument.
        value: What came for it.
        usual: A value that the error proposes.

    Raises:
        ValueError: If `value` is 0, negative, infinite or NaN.
    """
    if not 0 < value < math.inf:
        raise ValueError(
            f"{name}={value!r} is not allowed. Give a number above 0, such as {usual}."
        )


def check_not_negative(name, value, usual):
    """Raises unless a number is 0 or more and finite.

    Args:
        name: Name of the argument.
        value: What came for it.
        usual: A value that the error proposes.

    Raises:
        ValueError: If `value` is negative, infinite or NaN.
    """
    if not 0 <= value < math.inf:
        raise ValueError(
            f"{name}={value!r} is not allowed. Give a number of 0 or more, such as {usual}."
        )
