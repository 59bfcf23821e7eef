"""A gallery to search, and the threshold of the unknown."""

from keras_proxygml.search.calibration import Calibration as Calibration
from keras_proxygml.search.files import Indexed as Indexed
from keras_proxygml.search.files import index_files as index_files
from keras_proxygml.search.gallery import Gallery as Gallery
from keras_proxygml.search.hits import Hits as Hits
from keras_proxygml.search.hits import Identified as Identified
