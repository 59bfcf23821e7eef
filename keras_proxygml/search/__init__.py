"""A gallery of items to search: their vectors, ids, labels and metadata."""
