"""Metrics of embeddings: NumPy in, numbers out."""

from keras_proxygml.metrics.clustering import clustering_metrics as clustering_metrics
from keras_proxygml.metrics.retrieval import retrieval_metrics as retrieval_metrics
