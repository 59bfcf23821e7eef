"""The EXIF orientation of a JPEG or PNG file, read from its bytes in TensorFlow's operations.

TensorFlow's decoders do not read EXIF. In a JPEG, EXIF is in a segment APP1 before the picture. In
a PNG, it is in a chunk eXIf. Both hold a TIFF header, whose first directory has the orientation. If
there is none, XMP may have it, a text in XML. Pillow looks in the same places.
"""

from keras_proxygml.datasets.decoding import ORIENTATION

EXIF_MARK = b"Exif\0\0"
APP1, START_OF_SCAN, END_OF_IMAGE, FILL = 0xFFE1, 0xFFDA, 0xFFD9, 0xFFFF
MOST_PARTS = 10_000  # so that a malicious file of empty parts costs little
SHORT = 3  # a TIFF type: 16 bits
ENTRY = 12  # bytes of an entry of a TIFF directory
NONE = -1
XMP = r'(?s)\C*?tiff:Orientation(?:="|>)([0-9])\C*'
XMP_WITHIN = 2**17  # bytes from the beginning of a file


def orientation(contents):
    """Reads the EXIF orientation of a JPEG or PNG.

    Args:
        contents: The file's bytes. `[]`, string.

    Returns:
        1 to 8, or 1 if the file says nothing. `[]`, int32.
    """
    import tensorflow as tf

    data = tf.io.decode_raw(contents, tf.uint8)
    tiff = tf.cond(tf.io.is_jpeg(contents), lambda: _in_jpeg(data), lambda: _in_png(data))
    none = tf.constant(NONE, tf.int64)
    turn = tf.cond(tiff > 0, lambda: _of_tiff(data[tiff:]), lambda: none)
    turn = tf.cond(turn == NONE, lambda: _of_xmp(contents), lambda: turn)
    return tf.cast(tf.where((turn >= 1) & (turn <= 8), turn, 1), tf.int32)


def _in_jpeg(data):
    """Finds where the TIFF header of a JPEG begins, or 0 if there is none. int64."""
    import tensorflow as tf

    def look(at):
        marker, size = _number(data, at, 2), _number(data, at + 2, 2)
        is_exif = (marker == APP1) & (_number(data, at + 4, 6) == int.from_bytes(EXIF_MARK))
        is_last = (marker < 0xFF00) | (marker == START_OF_SCAN) | (marker == END_OF_IMAGE)
        following = tf.where(marker == FILL, at + 1, at + 2 + size)
        return is_exif, is_last, at + 10, following

    return _search(look, 2)


def _in_png(data):
    """Finds where the TIFF header of a PNG begins, or 0 if there is none. int64."""

    def look(at):
        size, name = _number(data, at, 4), _number(data, at + 4, 4)
        is_last = (name == int.from_bytes(b"IEND")) | (name == 0)
        return name == int.from_bytes(b"eXIf"), is_last, at + 8, at + 12 + size

    return _search(look, 8)


def _search(look, start):
    """Looks at part after part of a file.

    Args:
        look: From where a part begins to whether it is sought, whether it is the last, where its
            contents begin, and where the next part begins.
        start: Where the first part begins.

    Returns:
        Where the contents of the sought part begin, or 0. `[]`, int64.
    """
    import tensorflow as tf

    def step(at, found, _):
        is_sought, is_last, inside, following = look(at)
        return following, tf.where(is_sought, inside, found), is_sought | is_last

    start, nowhere = tf.constant(start, tf.int64), tf.constant(0, tf.int64)
    state = start, nowhere, tf.constant(False)
    return tf.while_loop(lambda *x: ~x[2], step, state, maximum_iterations=MOST_PARTS)[1]


def _of_tiff(data):
    """Reads the orientation from a TIFF header and its first directory, or NONE. int64."""
    import tensorflow as tf

    is_little = _number(data, 0, 2) == int.from_bytes(b"II")
    directory = _number(data, 4, 4, is_little)
    count = _number(data, directory, 2, is_little)
    entries = data[directory + 2 : directory + 2 + ENTRY * count]
    entries = tf.reshape(entries[: tf.size(entries) // ENTRY * ENTRY], [-1, ENTRY])
    high, low = (tf.cast(entries[:, i], tf.int64) for i in (0, 1))
    tags = tf.where(is_little, 256 * low + high, 256 * high + low)
    entry = tf.reshape(entries[tags == ORIENTATION][:1], [-1])  # empty if there is none
    size = tf.where(_number(entry, 2, 2, is_little) == SHORT, 2, 4)
    value = tf.where(size == 2, _number(entry, 8, 2, is_little), _number(entry, 8, 4, is_little))
    return tf.where(tf.size(entry) > 0, value, NONE)


def _of_xmp(contents):
    """Reads the orientation from XMP, or NONE. int64."""
    import tensorflow as tf

    length = tf.minimum(tf.strings.length(contents), XMP_WITHIN)
    digit = tf.strings.regex_replace(tf.strings.substr(contents, 0, length), XMP, r"\1")
    digit = tf.where(tf.strings.length(digit) == 1, digit, str(NONE))
    return tf.strings.to_number(digit, tf.int64)


def _number(data, start, size, is_little=False):
    """Reads an unsigned number of `size` bytes. Bytes after the end are zeros. int64."""
    import tensorflow as tf

    part = tf.cast(data[start : start + size], tf.int64)
    part = tf.pad(part, [[0, size - tf.size(part)]])
    part = tf.where(is_little, part[::-1], part)
    return tf.reduce_sum(part * [256**i for i in reversed(range(size))])
