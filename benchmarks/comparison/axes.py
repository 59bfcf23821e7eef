"""Axes of a search: where a share of an axis, in [0, 1), stands for a value."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Linear:
    """An axis from low to high."""

    low: float
    high: float

    def at(self, share):
        """The value at a share of the axis."""
        return float(f"{self._between(share):.3g}")

    def _between(self, share):
        return self.low + (self.high - self.low) * share


class Log(Linear):
    """An axis from low to high, even in the logarithm."""

    def _between(self, share):
        return self.low * (self.high / self.low) ** share


class Choice(tuple):
    """An axis of a few values."""

    def at(self, share):
        """The value at a share of the axis."""
        return self[int(share * len(self))]
