"""Losses on labels `[B]` and proxy similarities `[B, C, N]`."""

from keras_proxygml.losses.proxy_gml import ProxyGMLLoss as ProxyGMLLoss
from keras_proxygml.losses.proxy_gml import proxy_gml as proxy_gml
