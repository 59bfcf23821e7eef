"""Fonts for tests: those that matplotlib ships with, and made ones."""

import matplotlib.font_manager
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

LAST_RESORT = "Last Resort High-Efficiency"
MANAGER = matplotlib.font_manager.fontManager


def hide_installed(monkeypatch):
    """Leaves matplotlib with fonts of its own, until the test ends."""
    own = [font for font in MANAGER.ttflist if font.name in ("DejaVu Sans", LAST_RESORT)]
    monkeypatch.setattr(MANAGER, "ttflist", own)


def install(folder, family, characters):
    """Makes a font of some characters, all black squares, and tells matplotlib of it."""
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 800), (900, 800), (900, 0)):
        pen.lineTo(corner)
    pen.closePath()
    names = [".notdef", *(f"uni{ord(character):04X}" for character in characters)]
    font = FontBuilder(1000)
    font.setupGlyphOrder(names)
    font.setupCharacterMap(dict(zip(map(ord, characters), names[1:], strict=True)))
    font.setupGlyf(dict.fromkeys(names, pen.glyph()))
    font.setupHorizontalMetrics(dict.fromkeys(names, (1000, 100)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": family, "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    font.save(folder / f"{family}.ttf")
    MANAGER.addfont(folder / f"{family}.ttf")
