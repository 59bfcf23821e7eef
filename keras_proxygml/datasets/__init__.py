"""Images and labels with the zero-shot split: no class of the test half is trained on."""

from keras_proxygml.datasets.birds import cub200 as cub200
from keras_proxygml.datasets.cars import cars196 as cars196
from keras_proxygml.datasets.characters import glyphs as glyphs
from keras_proxygml.datasets.class_groups import ClassGroups as ClassGroups
from keras_proxygml.datasets.decoding import read_pixels as read_pixels
from keras_proxygml.datasets.evaluation import evaluation_batches as evaluation_batches
from keras_proxygml.datasets.evaluation import read_image as read_image
from keras_proxygml.datasets.files import ImageFiles as ImageFiles
from keras_proxygml.datasets.folders import class_folders as class_folders
from keras_proxygml.datasets.folders import image_folder as image_folder
from keras_proxygml.datasets.pipeline import bgr_means as bgr_means
from keras_proxygml.datasets.pipeline import training_batches as training_batches
from keras_proxygml.datasets.prepared import unpack_prepared as unpack_prepared
from keras_proxygml.datasets.products import stanford_online_products as stanford_online_products
from keras_proxygml.datasets.reading import readable_files as readable_files
