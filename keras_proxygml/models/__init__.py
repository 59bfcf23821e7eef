"""Models: their parts, and the classes that are added to them."""

from keras_proxygml.models.new_classes import add_classes as add_classes
from keras_proxygml.models.parts import embedder_of as embedder_of
from keras_proxygml.models.parts import freeze_batch_norm as freeze_batch_norm
from keras_proxygml.models.parts import proxy_layer_of as proxy_layer_of
from keras_proxygml.models.views import with_mirror as with_mirror
from keras_proxygml.models.views import with_shifts as with_shifts
