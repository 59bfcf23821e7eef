"""How much memory training and evaluation take."""
