"""Regularizers of proxies."""

from keras_proxygml.regularizers.proxy_merging import ProxyMerging as ProxyMerging
from keras_proxygml.regularizers.proxy_separation import ProxySeparation as ProxySeparation
