"""The golden totals of the zoo's networks, a module for each family of them.

    TOTALS      name → (parameters, multiply-accumulates of convolutions and matrix products for one sample)
    VARIANTS    name, variables, input size, totals
    SMALL       input sizes at which a test is quick, or arguments of `plan`; None = no other size is legal
    INPUTS      name and input → what to give it, where random numbers do not do
    NO_CLASSES  networks whose outputs are not classes
    REFERENCES  name → the network written by hand in PyTorch, which keeps the same activations, too
    REFERENCE_VARIANTS
                name, variables, the network written by hand, perhaps in other operations

"torchvision" in a comment: num_params of torchvision's documentation of weights, and its GFLOPS, which are
multiply-accumulates, to the two decimals it gives; the exact numbers follow from the layers.
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


def families() -> list[ModuleType]:
    """The modules of this package that hold totals."""
    found = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    return [module for module in found if hasattr(module, "TOTALS")]
