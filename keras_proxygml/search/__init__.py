"""Galleries: items to search, and what makes the search fast or small."""
