"""A gallery to search, and the threshold of the unknown."""

from keras_proxygml.search.calibration import Calibration as Calibration
from keras_proxygml.search.calibration import calibrate as calibrate
from keras_proxygml.search.decisions import Decisions as Decisions
from keras_proxygml.search.decisions import decide as decide
