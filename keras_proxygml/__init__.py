"""Metric learning for Keras 3 with ProxyGML.

A first script needs a dozen names at most: `ProxyGML`, `ProxyGMLLoss`, `ProxyAdam`,
`RetrievalEvaluation`, `embedder_of`, `freeze_batch_norm`, `retrieval_metrics` and
`clustering_metrics` of this module, `search.Gallery`, and `datasets.glyphs`,
`datasets.image_folder`, `datasets.training_batches` and `datasets.evaluation_batches`. The other
names of this module are in the namespaces too: `keras_proxygml.ArcFaceLoss` is
`keras_proxygml.losses.ArcFaceLoss`.
"""

from keras_proxygml import applications as applications
from keras_proxygml import callbacks as callbacks
from keras_proxygml import datasets as datasets
from keras_proxygml import distribution as distribution
from keras_proxygml import export as export
from keras_proxygml import graph as graph
from keras_proxygml import inspection as inspection
from keras_proxygml import layers as layers
from keras_proxygml import losses as losses
from keras_proxygml import metrics as metrics
from keras_proxygml import models as models
from keras_proxygml import optimizers as optimizers
from keras_proxygml import regularizers as regularizers
from keras_proxygml import search as search
from keras_proxygml import training as training
from keras_proxygml import visualization as visualization
from keras_proxygml.callbacks import RetrievalEvaluation as RetrievalEvaluation
from keras_proxygml.distribution import proxy_layout as proxy_layout
from keras_proxygml.layers import ProxyGML as ProxyGML
from keras_proxygml.layers import ProxySimilarity as ProxySimilarity
from keras_proxygml.losses import ArcFaceLoss as ArcFaceLoss
from keras_proxygml.losses import ContrastiveLoss as ContrastiveLoss
from keras_proxygml.losses import CosFaceLoss as CosFaceLoss
from keras_proxygml.losses import LiftedStructureLoss as LiftedStructureLoss
from keras_proxygml.losses import MultiSimilarityLoss as MultiSimilarityLoss
from keras_proxygml.losses import NormalizedSoftmaxLoss as NormalizedSoftmaxLoss
from keras_proxygml.losses import NPairsLoss as NPairsLoss
from keras_proxygml.losses import ProxyAnchorLoss as ProxyAnchorLoss
from keras_proxygml.losses import ProxyGMLLoss as ProxyGMLLoss
from keras_proxygml.losses import ProxyNCALoss as ProxyNCALoss
from keras_proxygml.losses import SoftTripleLoss as SoftTripleLoss
from keras_proxygml.losses import SupConLoss as SupConLoss
from keras_proxygml.losses import TripletHardLoss as TripletHardLoss
from keras_proxygml.losses import TripletSemiHardLoss as TripletSemiHardLoss
from keras_proxygml.losses import proxy_gml as proxy_gml
from keras_proxygml.metrics import clustering_metrics as clustering_metrics
from keras_proxygml.metrics import retrieval_metrics as retrieval_metrics
from keras_proxygml.models import embedder_of as embedder_of
from keras_proxygml.models import freeze_batch_norm as freeze_batch_norm
from keras_proxygml.optimizers import ProxyAdam as ProxyAdam
from keras_proxygml.regularizers import ProxyMerging as ProxyMerging
from keras_proxygml.regularizers import ProxySeparation as ProxySeparation

__version__ = "0.1.0"
