"""Graph to readable PyTorch source.

    structure   which scopes are plain chains, which uses of a block can share a class
    solver      numbers that differ between the uses, as constructor arguments and expressions:
                `terms`, and the spec's own, which `pythonic` writes
    classes     the constructor of a class, drafted in `draft`; `placing` puts modules into their scope
    forward     its `forward`; `lines` folds the statements and names the variables
    weights     how the weights start
    module      the file as a whole
    calls, layout, names   text

Nothing of a spec's text reaches the source but names that were checked, numbers, and its
description and reference, made harmless in a docstring.
"""

from cnnplan.emit.module import Source, emit

__all__ = ["Source", "emit"]
