"""What the commands print: stages, progress, tables, JSON."""

import io
import json
import os
import sys


def stage(text):
    """Says what takes a while now."""
    print(text, flush=True)


def progress(done, total):
    """Shows how many images are done: one line that changes, or a line for each block."""
    is_terminal = sys.stdout.isatty()
    end = "\n" if done == total or not is_terminal else ""
    if done or is_terminal:
        print(f"{chr(13) * is_terminal}  {done:,} of {total:,} images", end=end, flush=True)


def table(titles, rows):
    """Prints rows of text in columns. Numbers are on the right."""
    lines = [titles, *rows]
    widths = [max(len(str(line[c])) for line in lines) for c in range(len(titles))]
    for line in lines:
        cells = [
            f"{cell:>{width}}" if _is_number(cell) else f"{cell:<{width}}"
            for cell, width in zip(map(str, line), widths, strict=True)
        ]
        print("  " + "  ".join(cells).rstrip())


def _is_number(cell):
    return cell.lstrip("-").replace(".", "", 1).replace(",", "").isdecimal()


def as_json(value):
    """Prints JSON in ASCII, which any encoding of the output holds."""
    print(json.dumps(value, indent=1))


def escape_what_cannot_be_printed():
    """Prints escapes for characters that the encoding of the output lacks, instead of failing."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def short(path):
    """A path relative to the current folder, if it is inside."""
    relative = os.path.relpath(path) if os.path.isabs(str(path)) else str(path)
    return str(path) if relative.startswith("..") else relative


def counted(number, noun):
    """A number and a noun: "1 image", "2,000 images"."""
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{number:,} {noun if number == 1 else plural}"
