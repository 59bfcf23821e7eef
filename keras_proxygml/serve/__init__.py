"""A page that searches a gallery, and the JSON API under it."""

from keras_proxygml.serve.app import make_app as make_app
from keras_proxygml.serve.server import serve as serve
