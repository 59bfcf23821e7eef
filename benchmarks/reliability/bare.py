"""Makes `keras_proxygml.search.storage` importable without Keras, which takes seconds to import.

Import this module first. It replaces the package in a process that has not imported it.
"""

import sys
import types
from pathlib import Path

package = types.ModuleType("keras_proxygml")
package.__path__ = [str(Path(__file__).parents[2] / "keras_proxygml")]
sys.modules.setdefault("keras_proxygml", package)
