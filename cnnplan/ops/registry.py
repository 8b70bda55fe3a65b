"""Finds operations by name, and imports only those that a spec names.

An operation is the file of its name; a family that is a table is one of `FAMILIES`, whose `OPS`
lists its names. Start-up time depends on this staying lazy, however many operations there are.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from cnnplan import plugins
from cnnplan.ops.base import Op

FAMILIES = (
    "activations",
    "dropouts",
    "global_pools",
    "merges",
    "softmaxes",
    "adaptive_pools",
    "window_pools",
    "recurrent",
)
_NOT_OPS = frozenset({"base", "fields", "needs", "registry", "slices", "sliding", "strides", "window", *FAMILIES})


@cache
def _files() -> frozenset[str]:
    package = import_module("cnnplan.ops")
    return frozenset(m.name for m in iter_modules(package.__path__)) - _NOT_OPS


def _family(module: ModuleType, name: str) -> type[Op]:
    found: type[Op] = module.OPS[name] if isinstance(module.OPS, dict) else module.define(name)
    return found


@cache
def find(name: str) -> type[Op] | None:
    """The operation of this name, or None. Those of other packages come behind cnnplan's own.

    Raises:
        UsageError: another package's operation cannot be imported.
    """
    if name in _files():
        module = import_module(f"cnnplan.ops.{name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Op) and vars(value).get("kind") == name:
                return value
    for family in FAMILIES:
        module = import_module(f"cnnplan.ops.{family}")
        if name in module.OPS:
            return _family(module, name)
    return plugins.operation(name)


@cache
def names() -> tuple[str, ...]:
    """The names of all operations. Imports the families, but not the files of single operations."""
    return tuple(sorted({*own(), *plugins.installed(plugins.OPS)}))


@cache
def own() -> frozenset[str]:
    """The names of cnnplan's own operations."""
    in_families = (name for family in FAMILIES for name in import_module(f"cnnplan.ops.{family}").OPS)
    return frozenset({*_files(), *in_families})
