"""Nodes of the text to a `Spec`: which keys, items and names there are, but not yet what they do.

    file ─▶ blocks ─▶ items ─▶ arguments, merges, modifiers

Everything that is wrong is reported and reading goes on, so that one run shows all of it. An item
that cannot be understood becomes "broken": what follows it is still read.
"""

from cnnplan.grammar.file import read_spec
from cnnplan.grammar.modifiers import repeat_problem
from cnnplan.grammar.reading import expression_error

__all__ = ["expression_error", "read_spec", "repeat_problem"]
