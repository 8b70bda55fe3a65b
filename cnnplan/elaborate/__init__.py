"""A spec to a graph: expands blocks, repeats and branches, and finds every shape.

    network   variables, inputs, the top-level list, outputs
    items     a list of items, repeats and conditions
    layers    one operation: its arguments, its shape
    blocks, merges, share   the items that hold lists of their own
    references, values      names and expressions
    findings  where an error is: token, layer, origin of the input, blocks around

The one place that adds "where" to an error. After an error it carries on with what is still
certain, so that one run shows all independent errors.
"""

from cnnplan.elaborate.network import elaborate

__all__ = ["elaborate"]
