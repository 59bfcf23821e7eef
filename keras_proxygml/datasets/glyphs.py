"""Characters in the twelve DejaVu faces that matplotlib ships: a dataset without a download."""

import unicodedata
from pathlib import Path

import numpy as np

FACES = tuple(
    f"DejaVu{family}{style}.ttf"
    for family, styles in {
        "Sans": ("", "-Bold", "-Oblique", "-BoldOblique"),
        "SansMono": ("", "-Bold", "-Oblique", "-BoldOblique"),
        "Serif": ("", "-Bold", "-Italic", "-BoldItalic"),
    }.items()
    for style in styles
)
MIN_IMAGE_SIZE = 16  # below it, the caron and the breve look alike


def glyphs(split="zero-shot", *, image_size=32, seed=0):
    """Draws characters in twelve font faces: a class is a character, an instance is a face.

    The faces are DejaVu Sans, Sans Mono and Serif, each regular, bold, slanted and both. All
    1,988 characters stand on one baseline in one font size, so that `o` and `O`, or `,` and `'`,
    differ as they do in print; only the wide `‱` is drawn smaller, to fit. Each call draws them
    anew, in about two seconds.

    A character becomes a class when every face draws it and the faces do not all draw it alike
    (as they do the lines of boxes), and when **no** face draws it exactly as a class before it in
    Unicode. So `A`, Greek `Α` and Cyrillic `А` are one class, drawn as `A`, although four faces
    draw the Cyrillic letter a little differently; and italic `и`, which equals `u`, leaves no
    class of its own. Each character is compared with the classes, not with those left out, so
    that likeness is not passed on. Equal images therefore always have equal labels, and no
    training image is also a test image. Within a class 22% of the images equal another one, so
    that retrieval finds them for free: symbols, mostly, which faces take from one another.

    Args:
        split: `"zero-shot"` for a training and a test half that share no class, or `None` for
            all images together.
        image_size: Height and width S of the images in pixels, at least 16. The font grows with
            it. The classes are the same from 28 pixels on; below, one or two fewer are left.
        seed: Which random half of the classes is for training.

    Returns:
        `(train_images, train_labels), (test_images, test_labels)`, or `(images, labels)` without
        a split. Images are `[n, S, S, 1]`, uint8, 0 for the background and 255 for ink. Labels
        are `[n]`, int32, from 0 on in each half; the twelve faces of a class are adjacent.

    Raises:
        ValueError: If the split is unknown, or the image size not whole or too small.
        FileNotFoundError: If matplotlib lacks one of the font files.
    """
    if split not in ("zero-shot", None):
        raise ValueError(
            f'split={split!r} is unknown. Use "zero-shot" for a training and a test half that '
            "share no class, or None for all images together."
        )
    if not isinstance(image_size, (int, np.integer)) or image_size < MIN_IMAGE_SIZE:
        raise ValueError(
            f"image_size={image_size!r} is not a whole number of at least {MIN_IMAGE_SIZE} pixels, "
            "which it takes to tell characters apart. Use 32, the default, or larger."
        )
    _, images = _classes(image_size)  # [C, 12, S, S, 1]
    if split is None:
        return _labelled(images)
    # RandomState, since NumPy promises its stream for good and default_rng's only until changed.
    order = np.random.RandomState(seed).permutation(len(images))
    half = len(images) // 2
    return _labelled(images[np.sort(order[:half])]), _labelled(images[np.sort(order[half:])])


def _labelled(images):
    """Flattens `[C, 12, S, S, 1]` to images `[12·C, S, S, 1]` and their labels `[12·C]`."""
    classes, faces, *shape = images.shape
    labels = np.repeat(np.arange(classes, dtype="int32"), faces)
    return images.reshape(-1, *shape), labels


def _classes(image_size):
    """Draws what is a class of its own.

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
    """Keeps characters that the faces draw differently, and none as a character kept before.

    Args:
        candidates: Pairs of a character and its drawings, one `bytes` a face.

    Returns:
        The characters kept and their drawings, two lists.
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
        raise FileNotFoundError(
            f"{folder} lacks {', '.join(missing)}. glyphs() needs all twelve DejaVu faces of "
            "matplotlib's wheel. "
            "Run `pip install --force-reinstall matplotlib`."
        )
    return paths


def _shared_characters(paths):
    """Lists the characters that all faces have, in Unicode's order."""
    from matplotlib.ft2font import FT2Font

    codes = set.intersection(*(set(FT2Font(str(path)).get_charmap()) for path in paths))
    # A combining mark is a part of a character: it has no place of its own on the line.
    return [chr(c) for c in sorted(codes) if not unicodedata.category(chr(c)).startswith("M")]


def _fonts(paths, image_size):
    """Loads the faces in the largest size at which all but one character fit the image."""
    from PIL import ImageFont

    # The other layout engine is not in every build of Pillow, and would place some differently.
    basic = ImageFont.Layout.BASIC
    return [ImageFont.truetype(str(p), image_size * 11 // 16, layout_engine=basic) for p in paths]


def _draw(character, font, image_size):
    """Draws a character on the baseline, its ink centred from left to right.

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
