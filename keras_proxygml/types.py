"""The types of public signatures."""

from typing import Any, TypeAlias

# A tensor of Keras's backend, or what Keras converts to one. Keras has no type for either.
Tensor: TypeAlias = Any
