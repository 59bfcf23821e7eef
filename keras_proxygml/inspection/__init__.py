"""What is wrong with data: suspicious labels, near duplicates, confused classes.

NumPy in, tables out. Each table is a dataclass of columns of equal length. It prints its first
rows. A slice of it is a table too. `pandas.DataFrame(vars(table))` makes a data frame of it.
"""

from keras_proxygml.inspection.confusion import ConfusedClasses as ConfusedClasses
from keras_proxygml.inspection.confusion import confused_classes as confused_classes
from keras_proxygml.inspection.duplicates import NearDuplicates as NearDuplicates
from keras_proxygml.inspection.duplicates import near_duplicates as near_duplicates
from keras_proxygml.inspection.suspects import LabelSuspects as LabelSuspects
from keras_proxygml.inspection.suspects import label_suspects as label_suspects
