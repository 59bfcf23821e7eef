"""Tables of columns, which print their first rows."""

import dataclasses

import numpy as np

from keras_proxygml.checks import refuse

SHOWN = 10  # rows that are printed


class Table:
    """The base of a frozen dataclass whose fields are arrays of one length."""

    def __len__(self):
        return len(next(iter(vars(self).values())))

    def __getitem__(self, rows):
        """The table of some rows: a number, a slice, or an array of places or bools."""
        if isinstance(rows, (int, np.integer)):
            if not -len(self) <= rows < len(self):
                allowed = f"be from {-len(self)} to {len(self) - 1}"
                refuse("rows", allowed, f"rows={rows}", error=IndexError)  # which ends a loop
            rows = slice(rows, rows + 1 or None)
        return type(self)(**{name: column[rows] for name, column in vars(self).items()})

    def __str__(self):
        shown = [[_cell(x) for x in column[:SHOWN]] for column in vars(self).values()]
        columns = [[name, *cells] for name, cells in zip(vars(self), shown, strict=True)]
        widths = [max(map(len, column)) for column in columns]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
            for cells in zip(*columns, strict=True)
        ]
        more = len(self) - SHOWN
        return "\n".join([*lines, f"... and {more} more"] if more > 0 else lines)

    __repr__ = __str__


def table(kind):
    """Makes a class of columns a frozen dataclass that compares by identity and prints itself."""
    return dataclasses.dataclass(frozen=True, eq=False, repr=False)(kind)


def _cell(value):
    return f"{value:.3f}" if isinstance(value, (float, np.floating)) else str(value)
