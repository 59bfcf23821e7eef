"""Files of every kind of image that is read, 48 x 48, and the pictures that people see in them."""

import io
import struct
import zlib

import numpy as np
from photos import photo
from PIL import Image

SIDE = 48
PHOTO = photo(SIDE, SIDE, seed=3)
GRAY = PHOTO.convert("L")
PALETTE = PHOTO.quantize(256)
PALETTE_16, PALETTE_4, PALETTE_2 = (PHOTO.quantize(colors) for colors in (16, 4, 2))
# A disk that fades out at its rim.
DISTANCE = np.hypot(*(np.mgrid[:SIDE, :SIDE] - SIDE / 2 + 0.5))
ALPHA = Image.fromarray(np.clip((20 - DISTANCE) * 40, 0, 255).astype("uint8"))
TRANSPARENT = PHOTO.copy()
TRANSPARENT.putalpha(ALPHA)
GRAY_ALPHA = Image.merge("LA", [GRAY, ALPHA])
LEVELS = (np.asarray(GRAY).astype("uint16") << 8) + 77  # gray of 16 bits


def encode(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def frames(kind, first, **options):
    """An animation of two frames."""
    other = photo(SIDE, SIDE, seed=4).convert(first.mode)
    return encode(first, kind, save_all=True, append_images=[other], duration=100, **options)


def on_white(image):
    """Composes an image with white: RGB, `[height, width, 3]`."""
    pixels = np.asarray(image.convert("RGBA"), float)
    alpha = pixels[..., 3:] / 255
    return pixels[..., :3] * alpha + 255 * (1 - alpha)


def exif(orientation, order="<"):
    """EXIF of nothing but an orientation, in either byte order."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order]
    entry = struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return b"Exif\0\0" + head + entry


def png(values, bits, color, *, interlaced=False, chunks=()):
    """A PNG of values `[height, width, channels]`, of kinds that Pillow does not write."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(
            ">I", zlib.crc32(name + data)
        )  # fmt: skip

    passes = [(0, 0, 1, 1)]  # first row and column, and steps
    if interlaced:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2),
                  (0, 1, 2, 2), (1, 0, 2, 1)]  # fmt: skip
    rows = b""
    for top, left, down, right in passes:
        for row in values[top::down, left::right]:
            rows += b"\0" + row.astype(">u2" if bits == 16 else "u1").tobytes()
    head = struct.pack(">2I5B", *values.shape[1::-1], bits, color, 0, 0, interlaced)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def bmp(data, bits, compression=0, palette=b"", masks=b"", height=SIDE):
    """A BMP of pixel data, of kinds that Pillow does not write."""
    start = 54 + len(masks) + len(palette)
    head = struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start)
    info = struct.pack(
        "<IiiHHIIiiII",
        40,
        SIDE,
        height,
        1,
        bits,
        compression,
        len(data),
        0,
        0,
        len(palette) // 4,
        0,
    )
    return head + info + masks + palette + data


def bmp_palette(image, colors):
    table = np.zeros((colors, 4), "uint8")
    values = np.reshape(image.getpalette()[: 3 * colors], (-1, 3))
    table[: len(values), :3] = values[:, ::-1]
    return table.tobytes()


def nibbles(indices):
    return (indices[:, ::2] << 4 | indices[:, 1::2]).astype("uint8")


def run_lengths(indices, pack):
    """Encodes each row as runs of one pixel, of which `pack` makes the second byte."""
    rows = [bytes(x for i in row for x in (1, pack(i))) + b"\0\0" for row in indices.tolist()[::-1]]
    return b"".join(rows) + b"\0\1"


def bmp_kinds():
    indices, few = np.asarray(PALETTE), np.asarray(PALETTE_16)
    large, small = bmp_palette(PALETTE, 256), bmp_palette(PALETTE_16, 16)
    red, green, blue = np.moveaxis(np.asarray(PHOTO).astype("uint16"), 2, 0)
    of_555 = (red >> 3 << 10 | green >> 3 << 5 | blue >> 3)[::-1].tobytes()
    of_565 = (red >> 3 << 11 | green >> 2 << 5 | blue >> 3)[::-1].tobytes()
    masks = struct.pack("<3I", 0xF800, 0x7E0, 0x1F)
    return {
        "rgb.bmp": (encode(PHOTO, "BMP"), PHOTO),
        "32_bits.bmp": (encode(PHOTO.convert("RGBA"), "BMP"), PHOTO),
        "gray.bmp": (encode(GRAY, "BMP"), GRAY),
        "palette.bmp": (encode(PALETTE, "BMP"), PALETTE),
        "1_bit.bmp": (encode(PHOTO.convert("1"), "BMP"), PHOTO.convert("1")),
        "4_bits.bmp": (bmp(nibbles(few)[::-1].tobytes(), 4, 0, small), PALETTE_16),
        "top_down.bmp": (bmp(indices.tobytes(), 8, 0, large, height=-SIDE), PALETTE),
        "run_lengths_of_8.bmp": (bmp(run_lengths(indices, int), 8, 1, large), PALETTE),
        "run_lengths_of_4.bmp": (bmp(run_lengths(few, lambda i: i * 17), 4, 2, small), PALETTE_16),
        "555.bmp": (bmp(of_555, 16), None),
        "565.bmp": (bmp(of_565, 16, 3, masks=masks), None),
    }


def png_kinds():
    rgb, gray = np.asarray(PHOTO), np.asarray(GRAY)[..., None]
    wide = rgb.astype("uint16") * 257
    key = struct.pack(">3H", *rgb[5, 5])
    by_key = np.where((rgb == rgb[5, 5]).all(2, keepdims=True), 255, rgb)
    kinds = {
        "rgb.png": (encode(PHOTO, "PNG"), PHOTO),
        "gray.png": (encode(GRAY, "PNG"), GRAY),
        "1_bit.png": (encode(PHOTO.convert("1"), "PNG"), PHOTO.convert("1")),
        "palette.png": (encode(PALETTE, "PNG"), PALETTE),
        "palette_of_16.png": (encode(PALETTE_16, "PNG", bits=4), PALETTE_16),
        "palette_of_4.png": (encode(PALETTE_4, "PNG", bits=2), PALETTE_4),
        "palette_of_2.png": (encode(PALETTE_2, "PNG", bits=1), PALETTE_2),
        "alpha.png": (encode(TRANSPARENT, "PNG"), on_white(TRANSPARENT)),
        "gray_alpha.png": (encode(GRAY_ALPHA, "PNG"), on_white(GRAY_ALPHA)),
        "16_bit_gray.png": (encode(Image.fromarray(LEVELS), "PNG"), GRAY),
        "16_bit_rgb.png": (png(wide, 16, 2), PHOTO),
        "color_key.png": (png(rgb, 8, 2, chunks=[(b"tRNS", key)]), by_key),
        "interlaced.png": (png(rgb, 8, 2, interlaced=True), PHOTO),
        "interlaced_gray.png": (png(gray, 8, 0, interlaced=True), GRAY),
        "animated.apng": (frames("PNG", PHOTO), PHOTO),
    }
    opacity = bytes(range(0, 256, 16))
    see_through = PALETTE_16.copy()
    see_through.info["transparency"] = opacity
    kinds["palette_alpha.png"] = (
        encode(PALETTE_16, "PNG", transparency=opacity),
        on_white(see_through),
    )
    return kinds


def jpeg_kinds():
    cmyk = encode(PHOTO.convert("CMYK"), "JPEG", quality=95)
    adobe = cmyk.index(b"Adobe") + 11  # the kind of color transform
    kinds = {
        "444.jpg": encode(PHOTO, "JPEG", quality=95, subsampling=0),
        "422.jpeg": encode(PHOTO, "JPEG", quality=95, subsampling=1),
        "420.jpe": encode(PHOTO, "JPEG", quality=75, subsampling=2),
        "progressive.jfif": encode(PHOTO, "JPEG", progressive=True),
        "restarts.jpg": encode(PHOTO, "JPEG", restart_marker_rows=1),
        "stored_as_rgb.jpg": encode(PHOTO, "JPEG", keep_rgb=True),
        "gray.JPG": encode(GRAY, "JPEG"),
        "cmyk.jpg": cmyk,
        "ycck.jpg": cmyk[:adobe] + b"\2" + cmyk[adobe + 1 :],
        "two_pictures.jpg": frames("MPO", PHOTO),
        "with_a_trailer.jpg": encode(PHOTO, "JPEG") + b"ftypmp4 a film of the phone",
        "png_inside.jpg": encode(PHOTO, "PNG"),
        "animated_webp_inside.jpg": frames("WEBP", PHOTO, lossless=True),
    }
    return {name: (contents, None) for name, contents in kinds.items()}


def animation_kinds():
    return {
        "palette.gif": (encode(PALETTE, "GIF"), PALETTE),
        "gray.gif": (encode(GRAY, "GIF"), GRAY),
        "animated.gif": (frames("GIF", PALETTE), PALETTE),
        "transparent.gif": (encode(PALETTE_16, "GIF", transparency=3), None),
        "lossless.webp": (encode(PHOTO, "WEBP", lossless=True), PHOTO),
        "lossy.webp": (encode(PHOTO, "WEBP", quality=90), None),
        "alpha.webp": (encode(TRANSPARENT, "WEBP", lossless=True, exact=True), None),
        "animated.webp": (frames("WEBP", PHOTO, lossless=True), PHOTO),
        "animated_alpha.webp": (
            frames("WEBP", TRANSPARENT, lossless=True, exact=True),
            on_white(TRANSPARENT),
        ),
    }


def orientation_kinds():
    """Each orientation in each place that Pillow looks for it."""
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'
    )
    kinds = {}
    for turn in range(10):  # 0 and 9 mean nothing
        options = {"quality": 95, "subsampling": 0}
        kinds |= {
            f"little_endian_{turn}.jpg": encode(PHOTO, "JPEG", exif=exif(turn, "<"), **options),
            f"big_endian_{turn}.jpg": encode(PHOTO, "JPEG", exif=exif(turn, ">"), **options),
            f"turned_{turn}.png": encode(PHOTO, "PNG", exif=exif(turn)),
            f"turned_{turn}.webp": encode(PHOTO, "WEBP", lossless=True, exif=exif(turn)),
        }
    for turn in (3, 6):
        turned = encode(PHOTO, "JPEG", exif=exif(turn))
        profile = b"\xff\xe2" + struct.pack(">H", 60_002) + bytes(60_000)
        kinds |= {
            f"after_a_long_profile_{turn}.jpg": turned[:2] + profile + turned[2:],
            f"xmp_{turn}.jpg": encode(PHOTO, "JPEG", xmp=xmp % turn),
            f"gray_{turn}.jpg": encode(GRAY, "JPEG", exif=exif(turn)),
            f"cmyk_{turn}.jpg": encode(PHOTO.convert("CMYK"), "JPEG", exif=exif(turn)),
            f"palette_{turn}.png": encode(PALETTE, "PNG", exif=exif(turn)),
        }
    return {name: (contents, None) for name, contents in kinds.items()}


# Contents of each file, and its picture where the kind loses nothing, else None.
KINDS = {
    **jpeg_kinds(), **png_kinds(), **bmp_kinds(), **animation_kinds(), **orientation_kinds()
}  # fmt: skip
