"""Callbacks for `fit`."""

from keras_proxygml.callbacks.retrieval_evaluation import RetrievalEvaluation as RetrievalEvaluation
