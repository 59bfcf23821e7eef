"""A gallery to search, and the threshold of the unknown."""

from keras_proxygml.search.calibration import Calibration as Calibration
from keras_proxygml.search.gallery import Gallery as Gallery
from keras_proxygml.search.hits import Hits as Hits
from keras_proxygml.search.hits import Identified as Identified
