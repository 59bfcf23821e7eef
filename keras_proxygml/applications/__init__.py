"""Backbones that Keras does not have, and the weights published for them."""

from keras_proxygml.applications.bn_inception import BNInception as BNInception
from keras_proxygml.applications.checkpoints import load_pytorch_weights as load_pytorch_weights
