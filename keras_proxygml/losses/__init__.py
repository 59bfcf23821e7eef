"""Losses on labels `[B]` and proxy similarities `[B, C, N]`; some on embeddings `[B, D]`."""

from keras_proxygml.losses.arcface import ArcFaceLoss as ArcFaceLoss
from keras_proxygml.losses.arcface import arcface as arcface
from keras_proxygml.losses.cosface import CosFaceLoss as CosFaceLoss
from keras_proxygml.losses.cosface import cosface as cosface
from keras_proxygml.losses.lifted_structure import LiftedStructureLoss as LiftedStructureLoss
from keras_proxygml.losses.lifted_structure import lifted_structure as lifted_structure
from keras_proxygml.losses.normalized_softmax import NormalizedSoftmaxLoss as NormalizedSoftmaxLoss
from keras_proxygml.losses.normalized_softmax import normalized_softmax as normalized_softmax
from keras_proxygml.losses.npairs import NPairsLoss as NPairsLoss
from keras_proxygml.losses.npairs import npairs as npairs
from keras_proxygml.losses.proxy_anchor import ProxyAnchorLoss as ProxyAnchorLoss
from keras_proxygml.losses.proxy_anchor import proxy_anchor as proxy_anchor
from keras_proxygml.losses.proxy_gml import ProxyGMLLoss as ProxyGMLLoss
from keras_proxygml.losses.proxy_gml import proxy_gml as proxy_gml
from keras_proxygml.losses.proxy_nca import ProxyNCALoss as ProxyNCALoss
from keras_proxygml.losses.proxy_nca import proxy_nca as proxy_nca
from keras_proxygml.losses.soft_triple import SoftTripleLoss as SoftTripleLoss
from keras_proxygml.losses.soft_triple import soft_triple as soft_triple
from keras_proxygml.losses.triplet import TripletHardLoss as TripletHardLoss
from keras_proxygml.losses.triplet import TripletSemiHardLoss as TripletSemiHardLoss
from keras_proxygml.losses.triplet import triplet_hard as triplet_hard
from keras_proxygml.losses.triplet import triplet_semi_hard as triplet_semi_hard
