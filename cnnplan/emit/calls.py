"""Torch calls as text: what an operation's `torch` rule looks like in source."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnnplan.ops.base import Argument, Inline, Module


def literal(value: Any) -> str:
    """A number, boolean, text or tuple of them as source."""
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return f'float("{"-" if value < 0 else ""}inf")'
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, str):
        mark = "'" if '"' in value and "'" not in value else '"'
        return mark + value.encode("unicode_escape").decode().replace(mark, f"\\{mark}") + mark
    assert value is None or isinstance(value, bool | int | float), value
    return repr(value)


def written(arguments: Iterable[Argument]) -> list[Argument]:
    """The arguments that differ from their defaults."""
    return [a for a in arguments if a.value != a.default or type(a.value) is not type(a.default)]


def module_text(module: Module) -> str:
    """The construction of a module, without those around it."""
    return f"{class_name(module.target)}({', '.join(argument_texts(written(module.arguments)))})"


def class_name(target: str) -> str:
    """The name by which the source knows a class: `nn.Conv2d`, `Scale`; `GemPool` of `gem_cnnplan.layers:GemPool`."""
    return target.rpartition(":")[2]


def argument_texts(arguments: Iterable[Argument]) -> list[str]:
    """The arguments as source, `name=value` where a keyword is needed."""
    return [f"{a.name}={literal(a.value)}" if a.keyword else literal(a.value) for a in arguments]


def inline_text(inline: Inline, inputs: list[str]) -> str:
    """The expression, over the sources of its inputs."""
    options = "".join(f", {text}" for text in argument_texts(written(a for a in inline.arguments if a.keyword)))
    holes: dict[str, str] = {str(i): text for i, text in enumerate(inputs)}
    holes |= {"all": ", ".join(inputs), "options": options}
    for argument in inline.arguments:
        if not argument.keyword:
            holes[argument.name] = literal(argument.value)
            holes[f"{argument.name}!s"] = str(argument.value)
    return re.sub(r"\{(\w+(?:!s)?)\}", lambda hole: holes[hole[1]], inline.template)


@cache
def helper_classes() -> frozenset[str]:
    """The names of the classes of cnnplan.layers, which no block's class may have."""
    texts = (file.read_text(encoding="utf-8") for file in files("cnnplan.layers").iterdir() if file.name[-3:] == ".py")
    return frozenset(name for text in texts for name in re.findall(r"^class (\w+)", text, re.MULTILINE))


@cache
def helper_text(name: str) -> tuple[str, frozenset[str]]:
    """A class or function of cnnplan.layers as it stands, and the import lines it needs.

    A name of the form `module:Class` is a class of another package, which stands behind the imports of its file.

    Raises:
        UsageError: there is no such file, or it needs more than torch.
    """
    package, _, word = name.rpartition(":")
    if package:
        source = _foreign(package, name)
    else:
        stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).lower()
        source = files("cnnplan.layers").joinpath(f"{stem}.py").read_text(encoding="utf-8")
    start = re.search(r"^(?:class|def) ", source, re.MULTILINE)
    assert start
    imports = frozenset(line for line in source[: start.start()].splitlines() if line)
    return source[start.start() :].rstrip() + "\n", imports


def _foreign(module: str, name: str) -> str:
    """The file of another package's layer, without its docstring."""
    try:
        spec = find_spec(module)
        source = Path(spec.origin or "").read_text(encoding="utf-8") if spec else ""
    except (ImportError, OSError, UnicodeDecodeError):
        source = ""
    source = re.sub(r'\A\s*"""(?:.|\n)*?"""\s*', "", source)
    start = re.search(r"^(?:class|def) ", source, re.MULTILINE)
    if not start or not re.search(rf"^(?:class|def) {name.rpartition(':')[2]}\b", source, re.MULTILINE):
        raise UsageError(f"the layer '{name}' is not found: its file defines it behind its imports")
    if other := [line for line in source[: start.start()].splitlines() if line and line not in _IMPORTS]:
        raise UsageError(
            f"the file of the layer '{name}' is copied into what `build` writes: it may begin with "
            f"{', '.join(f'`{line}`' for line in _IMPORTS)} alone, not with `{other[0]}`"
        )
    return source


_IMPORTS = (
    "import torch",
    "from torch import Tensor",
    "from torch import nn",
    "from torch import Tensor, nn",
    "from torch.nn import functional as F",
    "from torch.nn import functional as F  # noqa: N812",
)
