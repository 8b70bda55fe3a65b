"""Builds the model by running the very source that `cnnplan build` writes."""

from __future__ import annotations

import linecache
import sys
from hashlib import sha256
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any

from torch import nn  # noqa: TC002 - the emitted source needs torch: here its absence shows

from cnnplan.emit import Source, emit

if TYPE_CHECKING:
    from cnnplan.graph import Graph

KEPT = 256
"""Modules that stay known: a search over architectures does not fill the memory with their sources."""

_names: list[str] = []
_lock = Lock()


def build(graph: Graph) -> nn.Module:
    """A freshly initialized module. Tracebacks and inspect.getsource show the emitted lines."""
    source = emit(graph)
    model: nn.Module = getattr(execute(source), source.model)()
    return model


def execute(source: Source) -> ModuleType:
    """The emitted source as a module of its own; the same source is executed once."""
    text = source.text
    name = f"cnnplan_built_{sha256(text.encode()).hexdigest()[:16]}"
    with _lock:
        if name in sys.modules:
            return sys.modules[name]
        file = f"<{name}>"
        module = ModuleType(name, f"Source emitted by cnnplan for {source.model}.")
        module.__file__ = file
        exec(compile(text, file, "exec"), module.__dict__)  # noqa: S102 - our own emitter's output
        for cls in list(vars(module).values()):
            if isinstance(cls, type) and cls.__module__ == name:
                cls.__reduce_ex__ = _reduced_by(source)  # type: ignore[method-assign]
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        sys.modules[name] = module
        _names.append(name)
        if len(_names) > KEPT:
            oldest = _names.pop(0)
            sys.modules.pop(oldest, None)
            linecache.cache.pop(f"<{oldest}>", None)
    return module


def _reduced_by(source: Source) -> Any:
    def reduce(instance: nn.Module, protocol: Any) -> tuple[Any, ...]:
        state = instance.__getstate__()  # type: ignore[no-untyped-call]
        return _empty, (source.text, source.model, type(instance).__qualname__), state

    return reduce


def _empty(text: str, model: str, name: str) -> nn.Module:
    """An instance without its state: pickles carry the source, so that any process can load them."""
    cls: type[nn.Module] = getattr(execute(Source(text, model)), name)
    return cls.__new__(cls)
