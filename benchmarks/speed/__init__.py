"""How long training, its parts, and the metrics take."""
