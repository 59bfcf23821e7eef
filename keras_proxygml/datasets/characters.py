"""Characters in the twelve DejaVu faces that matplotlib ships: a dataset without a download."""

import unicodedata
from pathlib import Path
from typing import Literal, TypeAlias, overload

import numpy as np

from keras_proxygml.checks import check_choice, check_integer, refuse

FACES = tuple(
    f"DejaVu{family}{style}.ttf"
    for family, styles in {
        "Sans": ("", "-Bold", "-Oblique", "-BoldOblique"),
        "SansMono": ("", "-Bold", "-Oblique", "-BoldOblique"),
        "Serif": ("", "-Bold", "-Italic", "-BoldItalic"),
    }.items()
    for style in styles
)
Half: TypeAlias = tuple[np.ndarray, np.ndarray]  # images and their labels
MIN_IMAGE_SIZE = 16  # below it, the caron and the breve look alike


@overload
def glyphs(
    split: Literal["zero-shot"] = "zero-shot", *, image_size: int = 32, seed: int = 0
) -> tuple[Half, Half]: ...


@overload
def glyphs(split: None, *, image_size: int = 32, seed: int = 0) -> Half: ...


def glyphs(
    split: Literal["zero-shot"] | None = "zero-shot", *, image_size: int = 32, seed: int = 0
) -> Half | tuple[Half, Half]:
    """Draws characters in twelve font faces: a class is a character, an instance is a face.

    The faces are DejaVu Sans, Sans Mono and Serif, each regular, bold, slanted and both. All
    1,988 characters stand on one baseline in one font size, so that `o` and `O`, or `,` and `'`,
    differ as they do in print. Only the wide `‱` is drawn smaller, to fit. Each call draws all
    characters again, in about two seconds.

    A character becomes a class if three things hold: every face draws it, the faces do not all
    draw it alike (as they draw the lines of boxes), and **no** face draws it exactly as a class
    before it in Unicode. So `A`, Greek `Α` and Cyrillic `А` are one class, drawn as `A`, although
    four faces draw the Cyrillic letter a little differently. Cyrillic `и` is no class, because in
    italics it equals `u`. Each character is compared with the classes only, not with characters
    that were left out. Equal images therefore always have equal labels, and no training image is
    also a test image. Within a class, 22% of the images equal another one, and retrieval finds
    them without effort. Most of these are symbols, which faces take from one another.

    Args:
        split: `"zero-shot"` for a training and a test half that share no class, or `None` for
            all images together.
        image_size: Height and width S of the images in pixels, at least 16. The font grows with
            it. The classes are the same from 28 pixels on. Below, there are one or two fewer.
        seed: Which random half of the classes is for training. An integer of 0 or more.

    Returns:
        `(train_images, train_labels), (test_images, test_labels)`, or `(images, labels)` without
        a split. Images are `[n, S, S, 1]`, uint8, 0 for the background and 255 for ink. Labels
        are `[n]`, int32, from 0 on in each half; the twelve faces of a class are adjacent.

    Raises:
        ValueError: If the split is unknown, the image size is no integer or is too small, or the
            seed is no integer of 0 or more.
        FileNotFoundError: If matplotlib lacks one of the font files.
    """
    check_choice("split", split, ("zero-shot", None), "Give None for all images together.")
    hint = "Smaller characters look alike. Give 32, the default, or more."
    check_integer("image_size", image_size, MIN_IMAGE_SIZE, hint=hint)
    check_integer("seed", seed, minimum=0, maximum=2**32 - 1)
    _, images = _classes(image_size)  # [C, 12, S, S, 1]
    if split is None:
        return _labeled(images)
    # RandomState, because NumPy never changes its stream, and may change that of default_rng.
    order = np.random.RandomState(seed).permutation(len(images))
    half = len(images) // 2
    return _labeled(images[np.sort(order[:half])]), _labeled(images[np.sort(order[half:])])


def _labeled(images):
    """Flattens `[C, 12, S, S, 1]` to images `[12·C, S, S, 1]` and their labels `[12·C]`."""
    classes, faces, *shape = images.shape
    labels = np.repeat(np.arange(classes, dtype="int32"), faces)
    return images.reshape(-1, *shape), labels


def _classes(image_size):
    """Draws the characters that become classes.

    Returns:
        The characters, in Unicode's order, and their images, `[C, 12, S, S, 1]`, uint8.
    """
    paths = _face_paths()
    fonts = _fonts(paths, image_size)
    characters, drawings = _distinct(
        (character, [_draw(character, font, image_size) for font in fonts])
        for character in _shared_characters(paths)
    )
    images = np.array([[np.frombuffer(face, "uint8") for face in faces] for faces in drawings])
    return characters, images.reshape(len(characters), len(fonts), image_size, image_size, 1)


def _distinct(candidates):
    """Keeps characters that the faces draw differently, and that equal none kept before.

    Args:
        candidates: Pairs of a character and its drawings, one `bytes` a face.

    Returns:
        The characters that are kept and their drawings, two lists.
    """
    characters, drawings, seen = [], [], set()
    for character, faces in candidates:
        blank = not all(map(any, faces))
        alike = len(set(faces)) == 1
        if not blank and not alike and seen.isdisjoint(faces):
            seen.update(faces)
            characters.append(character)
            drawings.append(faces)
    return characters, drawings


def _face_paths():
    """Finds the twelve font files."""
    import matplotlib

    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    paths = [folder / face for face in FACES]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        refuse(
            "matplotlib",
            "have its twelve DejaVu faces",
            f"{folder} without {', '.join(missing)}",
            "Run `pip install --force-reinstall matplotlib`.",
            error=FileNotFoundError,
        )
    return paths


def _shared_characters(paths):
    """Lists the characters that all faces have, in the order of Unicode."""
    from matplotlib.ft2font import FT2Font

    codes = set.intersection(*(set(FT2Font(str(path)).get_charmap()) for path in paths))
    # A combining mark is part of a character and has no place of its own on the line.
    return [chr(c) for c in sorted(codes) if not unicodedata.category(chr(c)).startswith("M")]


def _fonts(paths, image_size):
    """Loads the faces in the largest size at which all but one character fit the image."""
    from PIL import ImageFont

    # The other layout engine is not in every build of Pillow and places some differently.
    basic = ImageFont.Layout.BASIC
    return [ImageFont.truetype(str(p), image_size * 11 // 16, layout_engine=basic) for p in paths]


def _draw(character, font, image_size):
    """Draws a character on the baseline, with its ink centered from left to right.

    Returns:
        The image's pixels, row by row, as `bytes`.
    """
    from PIL import Image, ImageDraw

    # DejaVu reaches 1.14 font sizes above the baseline and 0.27 below it.
    baseline = image_size * 25 // 32
    left, top, right, bottom = font.getbbox(character, anchor="ls")
    if right - left > image_size or baseline + top < 0 or baseline + bottom > image_size:
        # The wide ‱, and at some image sizes a few capitals under two accents.
        return _draw(character, font.font_variant(size=font.size - 1), image_size)
    image = Image.new("L", (image_size, image_size))
    position = ((image_size - (right - left)) // 2 - left, baseline)
    ImageDraw.Draw(image).text(position, character, font=font, fill=255, anchor="ls")
    return image.tobytes()
