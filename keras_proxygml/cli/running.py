"""Runs a command: errors in one line, warnings without code, exit codes, Ctrl-C."""

import contextlib
import errno
import os
import shutil
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_proxygml.cli import printing
from keras_proxygml.cli.parser import PROGRAM, parse

FULL = 2**20  # bytes; with fewer free, a failure means that the disk is full
ERROR, INTERRUPTED = 1, 130


def run(
    arguments: Sequence[str] | None = None,
    *,
    prepare: Callable[[], object] | None = None,
    exit_at_once: Callable[[int], object] | None = None,
) -> int:
    """Runs the command line.

    Args:
        arguments: The arguments, by default those of the program.
        prepare: What to call before a command, which imports the package.
        exit_at_once: How to end the process on a full disk, `os._exit`. HDF5 tries again to write
            what it could not, and crashes.

    Returns:
        The exit code: 0, 1 after an error, 2 after wrong usage, 130 after Ctrl-C.
    """
    options = None
    printing.escape_what_cannot_be_printed()
    try:
        options = parse(arguments)
        _run_command(options, prepare)
        return 0
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else ERROR
    except KeyboardInterrupt:
        # Another Ctrl-C must not interrupt what Python does at its end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _say("Stopped.")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough. Python would fail again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR
    except Exception as error:
        if options is not None and options.debug:
            traceback.print_exc()
        _say(f"error: {in_one_line(error, options)}")
        if exit_at_once is not None and _is_disk_full(error, options):
            sys.stdout.flush()
            exit_at_once(ERROR)
        return ERROR


def _run_command(options, prepare):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        warnings.simplefilter("always", UserWarning)
        with _quietly(options.debug) as stderr, _ctrl_c_ends(stderr, lambda: "Stopped."):
            if prepare is not None:
                prepare()
            from keras_proxygml.cli import commands
        command = getattr(commands, options.command)
        if options.command == "serve":  # the server answers what was asked before it stops
            command(options)
        else:
            with _ctrl_c_ends(2, lambda: _what_is_kept(options)):
                command(options)
    sys.stdout.flush()


@contextlib.contextmanager
def _quietly(is_shown):
    """Silences stderr inside the block. Yields a copy of stderr for our own messages.

    TensorFlow logs before it reads how much to log, and not through Python.
    """
    stderr = os.dup(2)
    try:
        if not is_shown:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        yield stderr
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


@contextlib.contextmanager
def _ctrl_c_ends(stderr, message):
    """Ctrl-C inside ends the process at once. What is on the disk is whole at any moment.

    `KeyboardInterrupt` would turn into other errors during imports. It can also crash TensorFlow,
    whose threads still use memory that Python frees.
    """
    before = signal.getsignal(signal.SIGINT)

    def stop(*_):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with contextlib.suppress(RuntimeError):  # it was flushing already
            sys.stdout.flush()
        os.write(stderr, f"{PROGRAM}: {message()}\n".encode())
        os._exit(INTERRUPTED)

    if before is signal.default_int_handler:  # a shell ignores Ctrl-C in the background
        signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def in_one_line(error, options):
    """The message of an error on one line, and what to do about it."""
    message = " ".join(str(error).split())
    if _is_disk_full(error, options):
        where = getattr(options, "output", None) or getattr(options, "run", None)
        at = f", at {where}" if where else ""
        return f"the disk is full{at}. Free some space, and run the same command again."
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {error.filename}"
    if isinstance(error, (ValueError, OSError, ImportError)) and message:
        return message.replace("`directory`", "the folder")  # the library's name for an argument
    return f"{type(error).__name__}: {message}. Add --debug to see where."


def _is_disk_full(error, options):
    """Whether an error means that there is no space. Libraries say so in many ways."""
    text = str(error).lower()
    if getattr(error, "errno", None) == errno.ENOSPC or "no space left" in text:
        return True
    if "disk is full" in text or f"errno = {errno.ENOSPC}," in text:
        return True
    folders = [getattr(options, "output", None), getattr(options, "run", None), Path.cwd()]
    folder = next((x for x in folders if x is not None and Path(x).is_dir()), None)
    # NumPy and h5py fail without a reason.
    return (
        isinstance(error, OSError) and folder is not None and shutil.disk_usage(folder).free < FULL
    )


def _what_is_kept(options):
    if options is not None and options.command == "train":
        from keras_proxygml.training import how_to_go_on

        return how_to_go_on(options.output)
    if options is not None and options.command == "index":
        return "Stopped. The gallery keeps what was added: the same command adds the rest."
    return "Stopped."


def _warn(message, category, *_, **__):
    _say(f"warning: {' '.join(str(message).split())}")


def _say(text):
    print(f"{PROGRAM}: {text}", file=sys.stderr, flush=True)
