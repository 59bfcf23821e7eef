"""Losses of labels `[B]` and proxy similarities `[B, C, N]` or embeddings `[B, D]`."""

from keras_proxygml.losses.anchor import ProxyAnchorLoss as ProxyAnchorLoss
from keras_proxygml.losses.anchor import proxy_anchor as proxy_anchor
from keras_proxygml.losses.base import EmbeddingLoss as EmbeddingLoss
from keras_proxygml.losses.base import ProxyLoss as ProxyLoss
from keras_proxygml.losses.gml import ProxyGMLLoss as ProxyGMLLoss
from keras_proxygml.losses.gml import proxy_gml as proxy_gml
from keras_proxygml.losses.pairs import LiftedStructureLoss as LiftedStructureLoss
from keras_proxygml.losses.pairs import NPairsLoss as NPairsLoss
from keras_proxygml.losses.pairs import lifted_structure as lifted_structure
from keras_proxygml.losses.pairs import npairs as npairs
from keras_proxygml.losses.softmax import ArcFaceLoss as ArcFaceLoss
from keras_proxygml.losses.softmax import CosFaceLoss as CosFaceLoss
from keras_proxygml.losses.softmax import NormalizedSoftmaxLoss as NormalizedSoftmaxLoss
from keras_proxygml.losses.softmax import ProxyNCALoss as ProxyNCALoss
from keras_proxygml.losses.softmax import SoftTripleLoss as SoftTripleLoss
from keras_proxygml.losses.softmax import arcface as arcface
from keras_proxygml.losses.softmax import cosface as cosface
from keras_proxygml.losses.softmax import normalized_softmax as normalized_softmax
from keras_proxygml.losses.softmax import proxy_nca as proxy_nca
from keras_proxygml.losses.softmax import soft_triple as soft_triple
from keras_proxygml.losses.triplets import TripletHardLoss as TripletHardLoss
from keras_proxygml.losses.triplets import TripletSemiHardLoss as TripletSemiHardLoss
from keras_proxygml.losses.triplets import triplet_hard as triplet_hard
from keras_proxygml.losses.triplets import triplet_semi_hard as triplet_semi_hard
