"""Images and labels with the zero-shot split: no class of the test half is trained on."""

from keras_proxygml.datasets.glyphs import glyphs as glyphs
