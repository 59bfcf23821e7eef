"""Embedders as files for other runtimes, checked in these runtimes.

`formats` lists the formats and what each of them needs. `arguments` checks what users give.
`writers` writes a file, with the help of `onnx_files`. `runtimes` runs it, and `comparison`
compares its vectors with those of the embedder. `image_bytes` and `orientation` are the endpoint of
a SavedModel for JPEG and PNG files.
"""

from keras_proxygml.export.comparison import Exported as Exported
from keras_proxygml.export.exporting import export as export
