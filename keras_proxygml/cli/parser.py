"""The commands, their options and their help. This file imports nothing that takes long."""

import argparse
import difflib
import importlib.metadata
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

PROGRAM = "keras-proxygml"
DESCRIPTION = """Train an embedder on photographs, and search among them.

First put the photographs of each class into a folder of its own: photos/cup/1.jpg,
photos/cup/2.jpg, photos/chair/1.jpg. Then:

  keras-proxygml train photos --output run
  keras-proxygml search run query.jpg
  keras-proxygml serve run"""
EPILOG = """`keras-proxygml COMMAND --help` explains a command. Exit codes: 0, 1 after an error,
2 after wrong usage, 130 after Ctrl-C. Nothing is downloaded unless you ask for it."""
RATE = 0.05  # of unknown queries that are accepted


class _Parser(argparse.ArgumentParser):
    """Its errors suggest the option or the command that was meant."""

    def error(self, message: str) -> NoReturn:
        words = re.findall(r"'([^']+)'|(--?[\w-]+)", message)
        known = [*self._option_string_actions]
        for action in self._actions:
            known += map(str, action.choices or ())
        for word in [a or b for a, b in words][:1]:
            near = difflib.get_close_matches(word.split("=")[0], known, 1)
            if near and word not in known:
                message = f"{message.partition(' (choose from')[0]}. Did you mean {near[0]}?"
        # The usage of a command with many options would hide the message.
        self.exit(2, f"{self.prog}: error: {message}\nSee {self.prog} --help\n")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line. Help and mistakes end the program.

    Args:
        arguments: The arguments, by default those of the program.

    Returns:
        The options, and `command`.

    Raises:
        SystemExit: With 0 after help, and with 2 after a mistake.
    """
    parser, commands = make_parser()
    options, rest = parser.parse_known_args(arguments)
    if options.command is None:
        parser.print_help()
        parser.exit(2)
    if rest:
        commands[options.command].error(f"unrecognized arguments: {' '.join(rest)}")
    return options


def make_parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Makes the parser, and a dict of the parsers of all commands."""
    style: dict[str, Any] = {
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }
    parser = _Parser(PROGRAM, description=DESCRIPTION, epilog=EPILOG, **style)
    parser.add_argument("--version", action="version", version=_version())
    # Errors of a command name it, and not all others.
    adder = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    commands: dict[str, argparse.ArgumentParser] = {}
    for name, (add, title, text) in COMMANDS.items():
        epilog = textwrap.dedent(text).strip()
        command = adder.add_parser(
            name,
            help=title.replace("%", "%%"),
            description=title[0].upper() + title[1:] + ".",
            epilog=epilog,
            **style,
        )
        add(command.add_argument)
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        commands[name] = command
    return parser, commands


def _version():
    try:
        return f"{PROGRAM} {importlib.metadata.version(PROGRAM)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{PROGRAM}, not installed"


def _setting(text):
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, such as ratio=0.5. Received: {text}")
    return name, value


def _add_rate(add):
    add(
        "--false-accept-rate",
        type=float,
        default=RATE,
        metavar="RATE",
        help="share of unknown queries that the threshold may accept (default: %(default)s)",
    )


def _train(add):
    add("photos", type=Path, help="a folder that holds a folder of images for each class")
    add("-o", "--output", type=Path, default=Path("run"), help="the run (default: %(default)s)")
    add(
        "--backbone",
        default="small",
        help="small, bn_inception, a keras.applications name such "
        "as EfficientNetV2B0, or a .keras file (default: %(default)s)",
    )
    add("--weights", help="imagenet, which Keras downloads, or a file; by default at random")
    add(
        "--recipe",
        help="paper, paper_sop, fine_tune, from_scratch or demo (default: fine_tune "
        "for a trained backbone, from_scratch for one that starts at random)",
    )
    add("--epochs", type=int, help="how many in all; the recipe says how many by default")
    add("--batch-size", type=int, help="images in a batch")
    add("--image-size", type=int, help="height and width of the images in pixels")
    add(
        "--set",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another number of the recipe, such as learning_rate=0.001",
    )
    add("--seed", type=int, default=0, help="of weights, order and crops (default: 0)")
    add(
        "--split-seed",
        type=int,
        help="which random half of the classes is to train on (default: 0)",
    )
    _add_rate(add)


def _evaluate(add):
    add("run", type=Path, help="what train wrote")
    add(
        "photos",
        type=Path,
        nargs="?",
        help="a folder of class folders; by default the images that the run was tested on",
    )
    add("--all-classes", action="store_true", help="test on classes that were trained on, too")
    add("--json", action="store_true", help="print JSON")


def _index(add):
    add("run", type=Path, help="what train wrote")
    add(
        "photos",
        type=Path,
        nargs="*",
        help="folders of class folders, or with --label or "
        "--no-labels folders of images and image files",
    )
    add("--label", help="the class of all these images")
    add(
        "--no-labels",
        action="store_true",
        help="these images belong to no class; takes away the labels that they have",
    )
    add(
        "--remove",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="remove these images, or all below these folders",
    )
    add("--prune", action="store_true", help="remove images whose files are gone")
    add("--calibrate", action="store_true", help="choose the threshold of the unknown again")
    _add_rate(add)


def _search(add):
    add("run", type=Path, help="what train wrote")
    add("query", nargs="+", help="image files")
    add("-k", "--k", type=int, default=10, help="how many images to find (default: %(default)s)")
    add(
        "--threshold",
        type=float,
        help="lowest similarity at which a query counts as known, instead of the gallery's",
    )
    add("--json", action="store_true", help="print JSON")


def _report(add):
    add("run", type=Path, help="what train wrote")
    add("-o", "--output", type=Path, help="the page (default: report.html in the run)")


def _serve(add):
    add("run", type=Path, help="what train wrote")
    add("--host", default="127.0.0.1", help="where to listen (default: this computer alone)")
    add("--port", type=int, default=8000, help="(default: %(default)s)")
    add("--token", help="what clients must send; needed where other computers can connect")


def _export(add):
    add("run", type=Path, help="what train wrote")
    add(
        "--format",
        default="onnx",
        help="saved_model, onnx, openvino or litert (default: %(default)s)",
    )
    add("-o", "--output", type=Path, help="the file or folder (default: in the run)")
    add("--no-check", action="store_true", help="do not compare it with the embedder")


COMMANDS = {
    "train": (
        _train,
        "train an embedder, and make a gallery and a report of it",
        """
        Half of the classes are trained on, and the others tested on. With photos/train and
        photos/test, these are the halves. All images go into the gallery. An interrupted run
        goes on after its last whole epoch if you give the same command again. Examples:

          keras-proxygml train photos --output run
          keras-proxygml train photos --backbone EfficientNetV2B0 --weights imagenet
          keras-proxygml train photos --backbone network.keras --epochs 20 --set ratio=0.5

        A trained backbone is much better than one that starts at random. Keras downloads the
        weights of imagenet once. With a .keras file, nothing is downloaded.
        """,
    ),
    "evaluate": (
        _evaluate,
        "measure retrieval, with 95 % intervals",
        """
        Each image searches the others. Classes that the run was trained on are left out. Examples:

          keras-proxygml evaluate run
          keras-proxygml evaluate run other_photos --json
        """,
    ),
    "index": (
        _index,
        "add images to the gallery, or update and remove them",
        """
        New images are added, changed ones are updated, and the others are not read again. What
        Ctrl-C leaves is kept. The id of an image is its path. Examples:

          keras-proxygml index run more_photos
          keras-proxygml index run cup.jpg saucer.jpg --label tableware
          keras-proxygml index run --remove photos/cup photos/chair/1.jpg
          keras-proxygml index run more_photos --calibrate
        """,
    ),
    "search": (
        _search,
        "find the images most similar to yours, and name their class",
        """
        A query is unknown if no image with a label reaches the threshold. Examples:

          keras-proxygml search run query.jpg
          keras-proxygml search run one.jpg two.jpg -k 3 --json
        """,
    ),
    "report": (
        _report,
        "write report.html, the model card and TensorBoard's projector files",
        """
        The page opens from disk, without a network. Example:

          keras-proxygml report run
        """,
    ),
    "serve": (
        _serve,
        "serve a search page and a JSON API until Ctrl-C",
        """
        Needs pip install 'keras-proxygml[serve]'. Examples:

          keras-proxygml serve run
          keras-proxygml serve run --host 0.0.0.0 --port 8080 --token SECRET
        """,
    ),
    "export": (
        _export,
        "write the embedder in another format, and compare it with the original",
        """
        Needs pip install 'keras-proxygml[export]'. Example:

          keras-proxygml export run --format onnx
        """,
    ),
}
