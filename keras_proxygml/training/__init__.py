"""Training in one call: `fine_tune`, its recipes and steps, and the folder that it leaves."""

from keras_proxygml.training.backbones import Backbone as Backbone
from keras_proxygml.training.backbones import make_backbone as make_backbone
from keras_proxygml.training.fine_tuning import Result as Result
from keras_proxygml.training.fine_tuning import fine_tune as fine_tune
from keras_proxygml.training.folder import epochs_kept as epochs_kept
from keras_proxygml.training.folder import how_to_go_on as how_to_go_on
from keras_proxygml.training.folder import results_of_finished as results_of_finished
from keras_proxygml.training.models import compile_for as compile_for
from keras_proxygml.training.models import learning_rate as learning_rate
from keras_proxygml.training.models import make_model as make_model
from keras_proxygml.training.models import set_trainable as set_trainable
from keras_proxygml.training.models import with_preprocessing as with_preprocessing
from keras_proxygml.training.recipes import RECIPES as RECIPES
from keras_proxygml.training.recipes import Recipe as Recipe
from keras_proxygml.training.runs import Run as Run
from keras_proxygml.training.runs import open_run as open_run
