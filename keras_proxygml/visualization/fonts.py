"""Fonts that have the characters of a text."""

import unicodedata
import warnings
from collections.abc import Iterable


def families_for(texts: Iterable[str]) -> list[str]:
    """Finds font families that together have all characters of some texts.

    The families of `matplotlib.rcParams["font.family"]` come first. Others are searched only for
    characters that these lack.

    Args:
        texts: Strings.

    Returns:
        A list of families for `fontfamily=`. matplotlib looks up a character in one after another.

    Warns:
        UserWarning: If no font has some of the characters. They become boxes.
    """
    import matplotlib
    from matplotlib.font_manager import FontProperties, findfont, fontManager

    families = list(matplotlib.rcParams["font.family"])
    missing = {ord(letter) for text in texts for letter in text if _is_visible(letter)}
    files = [findfont(FontProperties(family=[family])) for family in families]
    missing = missing.difference(*map(_characters_of, files))
    if not missing:
        return families
    others = {font.name: font.fname for font in fontManager.ttflist}
    # A font of last resort has a box for each character.
    boxes = [family for family in others if "Last Resort" in family]
    others = {family: file for family, file in others.items() if family not in boxes}
    found = {family: missing & _characters_of(file) for family, file in others.items()}
    while missing and any(found.values()):
        # Among families that help as much, a plain one is easier to read.
        best = max(found, key=lambda name: (len(found[name]), "Sans" in name, "Mono" not in name))
        families.append(best)
        missing = missing - found[best]
        found = {name: characters & missing for name, characters in found.items()}
    if missing:
        characters = "".join(map(chr, sorted(missing)[:20]))
        warnings.warn(
            f"No font that matplotlib finds has the characters {characters}. They are drawn as "
            f"boxes. Install a font that has them, such as Noto Sans CJK for Chinese, Japanese and "
            f"Korean, and call matplotlib.font_manager.fontManager.addfont(path) with its file.",
            stacklevel=3,
        )
        families += boxes  # without them, as before 3.11, matplotlib warns of each character too
    return families


def _is_visible(letter):
    category = unicodedata.category(letter)
    return category not in ("Cc", "Cf") and category[0] != "Z"  # no control, format or space


def _characters_of(file):
    """Code points that a font has; none if the font can't be read."""
    from matplotlib.font_manager import get_font

    try:
        return get_font(file).get_charmap().keys()
    except (OSError, RuntimeError):  # such as a font of color bitmaps
        return set()
