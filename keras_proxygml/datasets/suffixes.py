"""Which endings of file names stand for images, and which of these images are read."""

import warnings

from keras_proxygml.datasets.decoding import can_read_avif, can_read_heic

ALWAYS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".gif")
AVIF = (".avif",)
HEIC = (".heic", ".heif", ".hif")
# Images that are never read. Python's mimetypes does not help, because it depends on the machine.
NEVER = (
    ".3fr .arw .avifs .cr2 .cr3 .crw .cur .dcr .dds .dib .djvu .dng .emf .eps .erf .exr .fff .fits "
    ".hdr .heics .heifs .icns .ico .iiq .j2c .j2k .jp2 .jpc .jpf .jpm .jps .jpx .jxl .jxr .kdc "
    ".mef .mos .mpo .mrw .nef .nrw .orf .pbm .pcx .pef .pgm .pnm .ppm .psb .psd .qoi .raf .ras "
    ".raw .rgb .rw2 .rwl .sgi .sr2 .srf .srw .svg .svgz .tga .tif .tiff .wbmp .wdp .wmf .x3f .xbm "
    ".xcf .xpm"
)


def readable_suffixes():
    """Lists the endings of the images that are read here."""
    return ALWAYS + AVIF * can_read_avif() + HEIC * can_read_heic()


def is_of_another_kind(path, readable):
    """Whether a file is an image, but does not end in one of the readable suffixes."""
    suffix = path.suffix.lower()
    return suffix not in readable and suffix in (*AVIF, *HEIC, *NEVER.split())


def warn_of_left_out(paths):
    """Counts the images of other kinds in one warning."""
    if paths:
        warnings.warn(
            f"Left out {len(paths):,} images, such as {paths[0]}, because only files ending in "
            f"{', '.join(readable_suffixes())} are read.{advice_for(paths)}",
            stacklevel=1,
        )


def advice_for(paths):
    """Says how images of other kinds can be read. The text is empty if there are none."""
    if not paths:
        return ""
    packages = {"pillow-heif": HEIC, "'pillow>=11.3'": AVIF}
    found = {path.suffix.lower() for path in paths}
    needed = [package for package, suffixes in packages.items() if found.intersection(suffixes)]
    if not needed:
        return " Convert them to .jpg or .png."
    return f" Run `pip install {' '.join(needed)}`, or convert them to .jpg or .png."
