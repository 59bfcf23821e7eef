"""Metrics of embeddings: NumPy in, numbers out."""

from keras_proxygml.metrics.approximate import (
    approximate_retrieval_metrics as approximate_retrieval_metrics,
)
from keras_proxygml.metrics.best_matches import BestMatches as BestMatches
from keras_proxygml.metrics.best_matches import best_matches as best_matches
from keras_proxygml.metrics.clustering import clustering_metrics as clustering_metrics
from keras_proxygml.metrics.confidence import compare_results as compare_results
from keras_proxygml.metrics.confidence import confidence_intervals as confidence_intervals
from keras_proxygml.metrics.identification import IdentificationResults as IdentificationResults
from keras_proxygml.metrics.identification import identification_metrics as identification_metrics
from keras_proxygml.metrics.identification import identification_results as identification_results
from keras_proxygml.metrics.identification_intervals import (
    identification_intervals as identification_intervals,
)
from keras_proxygml.metrics.neighbors import nearest as nearest
from keras_proxygml.metrics.retrieval import QueryResults as QueryResults
from keras_proxygml.metrics.retrieval import query_results as query_results
from keras_proxygml.metrics.retrieval import retrieval_metrics as retrieval_metrics
from keras_proxygml.metrics.verification import verification_metrics as verification_metrics
from keras_proxygml.metrics.verification_intervals import (
    verification_intervals as verification_intervals,
)
