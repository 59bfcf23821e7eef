"""Pictures of training, of embeddings, of subgraphs, and of nearest neighbors. Reports of these."""

from keras_proxygml.visualization.embeddings import plot_embeddings as plot_embeddings
from keras_proxygml.visualization.history import plot_history as plot_history
from keras_proxygml.visualization.model_cards import model_card as model_card
from keras_proxygml.visualization.neighbors import plot_neighbors as plot_neighbors
from keras_proxygml.visualization.projector import projector_files as projector_files
from keras_proxygml.visualization.reports import report as report
from keras_proxygml.visualization.subgraphs import plot_subgraph as plot_subgraph
