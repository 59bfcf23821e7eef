"""Colors and markers that color-blind readers can tell apart too."""

# The colors of Okabe and Ito, 2008. Their yellow is left out, because it is faint on white.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#56b4e9", "#e69f00")
MARKERS = {"o": 26, "^": 30, "s": 22, "D": 18, "v": 30, "P": 36, "X": 36, "*": 52}  # and areas
# 7 and 8 share no divisor, so all pairs of a color and a marker occur before one repeats.
NUMBER_OF_SIGNS = len(COLORS) * len(MARKERS)

# To readers who can't tell red from green, one is light and bluish and the other is dark.
RIGHT, WRONG = "#2fb380", "#c0182b"


def sign(i: int) -> dict[str, str]:
    """The color and the marker of the i-th class or curve, as keyword arguments."""
    return {"color": COLORS[i % len(COLORS)], "marker": tuple(MARKERS)[i % len(MARKERS)]}


def area(i: int) -> int:
    """The marker's area for `scatter(s=…)`, with which all markers look equally large."""
    return MARKERS[sign(i)["marker"]]
