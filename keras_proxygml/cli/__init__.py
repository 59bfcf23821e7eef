"""The command line `keras-proxygml`.

`parser` declares the commands, and imports nothing but the standard library. `running` runs one of
them: errors in one line, exit codes, Ctrl-C. `commands` has a function for each, which calls the
library. `printing` writes tables.
"""

from keras_proxygml.cli.running import run as run
