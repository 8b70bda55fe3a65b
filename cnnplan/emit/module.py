"""The whole source file: imports, helpers, one class a block, the model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from cnnplan.emit.calls import class_name, helper_classes, helper_text
from cnnplan.emit.classes import Constructor
from cnnplan.emit.draft import Draft, signature_of
from cnnplan.emit.forward import Forward
from cnnplan.emit.layout import Written, docstring, prose, statement
from cnnplan.emit.names import ClassNames, camel
from cnnplan.emit.optimized import function
from cnnplan.emit.solver import Inexpressible
from cnnplan.emit.structure import Rules, agree, block_scopes, is_chain, signature
from cnnplan.emit.weights import initialization

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cnnplan.emit.structure import Signature
    from cnnplan.graph import Graph, Node, Scope


class Source(NamedTuple):
    """Emitted source.

    Attributes:
        text: the Python source; it imports torch alone.
        model: the name of the model's class.
        lines: the line, from 1, that writes each layer, by its path or, for an expression, its name.
    """

    text: str
    model: str
    lines: Mapping[str, int] = {}

    def line(self, node: Node) -> int | None:
        """The line, from 1, that writes a layer: its module, or its expression in a `forward`."""
        return self.lines.get(node.name, self.lines.get(node.path))


def emit(graph: Graph, *, optimize: bool = False) -> Source:
    """Readable PyTorch source of a network: the same layers, names and parameters as the plan.

    Args:
        optimize: add a function, `optimized`, that makes a trained model faster in inference.
    """
    return _Emitter(graph).source(optimize)


class _Emitter:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.rules = Rules(graph)
        foreign = {class_name(getattr(self.rules.of(node), "target", "")) for node in graph.nodes}
        self.names = ClassNames(helper_classes() | foreign)
        self.classes: dict[str, tuple[Draft, int]] = {}
        self.drafts: list[Draft] = []
        self.checkpoints = False

    def source(self, optimize: bool) -> Source:
        graph = self.graph
        model_name = self.names.new(camel(graph.name))
        for uses in block_scopes(graph).values():
            self.block(uses)
        model = Draft(model_name, [graph.root], is_chain(graph.root, self.rules))
        self.fill(model)
        self.drafts.append(model)
        initialize, others = initialization(graph, self.rules)
        if initialize:
            model.lines += ["        self.apply(initialize)", *others]
        helpers = sorted({name for draft in self.drafts for name in draft.helpers})
        texts = [helper_text(name) for name in helpers]
        classes = [*(text.rstrip().splitlines() for text, _ in texts), *(self.text(draft) for draft in self.drafts)]
        if initialize:
            classes.insert(len(classes) - 1, initialize)
        imports: list[str] = []
        if optimize:
            added, imports = function(graph, self.rules, model_name)
            classes.append(added)
        body = "\n\n\n".join("\n".join(lines) for lines in classes)
        head = f"{self.header()}\n\n{_imports(body, imports)}\n\n\n"
        return Source(f"{head}{body}\n", model_name, _places(classes, head.count("\n") + 1))

    def header(self) -> str:
        spec = self.graph.spec
        shapes = _shapes(self.graph.root)
        text = f"{spec.name}: {shapes}."
        about = prose(f"{spec.description}. {spec.reference}".strip(". ")) if spec.description or spec.reference else ""
        return "\n".join(docstring(0, f"{text} {about}".strip()))

    # ---------------------------------------------------------------- blocks

    def block(self, uses: Sequence[Scope]) -> None:
        """The classes of one block: as few as its uses allow."""
        described = [(scope, signature(scope, self.rules, self.classes)) for scope in uses]
        chains = [(s, d) for s, d in described if is_chain(s, self.rules)]
        others = [(s, d) for s, d in described if not is_chain(s, self.rules)]
        for cluster in _clusters(chains, agree):
            self.attempt(cluster, chain=True)
        for cluster in _clusters(others, lambda a, b: a == b):
            self.attempt(cluster, chain=False)

    def attempt(self, cluster: list[tuple[Scope, Signature]], chain: bool) -> None:
        """One class for all of them, or one for each exact structure, or one for each set of numbers."""
        draft = self.draft([s for s, _ in cluster], chain)
        if draft is None:
            for part in _clusters(cluster, lambda a, b: a == b):
                if len(part) == len(cluster) or self.draft([s for s, _ in part], chain) is None:
                    for same in self.alike([s for s, _ in part]):
                        single = self.draft(same, chain)
                        assert single is not None, same[0].path

    def alike(self, uses: Sequence[Scope]) -> Iterable[list[Scope]]:
        """The uses, those together whose layers have the very same arguments and shapes."""
        found: dict[object, list[Scope]] = {}
        for scope in uses:
            key = tuple((n.op, n.shapes) for n in scope.nodes())
            found.setdefault(key, []).append(scope)
        return found.values()

    def draft(self, uses: list[Scope], chain: bool) -> Draft | None:
        """A class for these uses; None where one class cannot express them."""
        draft = Draft("", uses, chain)
        try:
            self.fill(draft)
        except Inexpressible:
            return None
        draft.name = self.names.new(camel(draft.word))
        self.drafts.append(draft)
        self.classes.update((scope.path, (draft, index)) for index, scope in enumerate(uses))
        return draft

    def fill(self, draft: Draft) -> None:
        Constructor(draft, self.rules, self.classes).write()
        if not draft.chain:
            forward = Forward(draft.uses, self.rules, draft.helpers)
            draft.forward = forward.write()

    # ---------------------------------------------------------------- text

    def text(self, draft: Draft) -> list[str]:
        base = "nn.Sequential" if draft.chain else "nn.Module"
        lines = [f"class {draft.name}({base}):", *docstring(4, self.about(draft)), ""]
        lines += statement(4, signature_of(draft))
        lines += ["        super().__init__()", *draft.lines]
        if not draft.chain:
            lines += ["", *draft.forward]
        return lines

    def about(self, draft: Draft) -> str:
        first = draft.uses[0]
        shapes = _shapes(first)
        if first.kind == "model":
            return f"{first.label}: {shapes}."
        if len(draft.uses) == 1:
            return f"`{draft.word}`: {shapes}."
        return f"`{draft.word}`, used {len(draft.uses)} times, at first {shapes}."


def _places(classes: Sequence[Sequence[str]], start: int) -> dict[str, int]:
    """The line of each layer that a line of these classes writes."""
    found: dict[str, int] = {}
    for lines in classes:
        for number, line in enumerate(lines, start):
            for path in line.paths if isinstance(line, Written) else ():
                found.setdefault(path, number)
        start += len(lines) + 2
    return found


def _shapes(scope: Scope) -> str:
    """`3x224x224 to 1000`."""
    return " to ".join(", ".join(str(v.shape) for v in values) for values in (scope.inputs, scope.outputs))


def _clusters(
    found: Sequence[tuple[Scope, Signature]], fits: Callable[[Signature, Signature], bool]
) -> list[list[tuple[Scope, Signature]]]:
    """The uses in groups: each joins the first group that it fits."""
    groups: list[tuple[dict[object, object], list[tuple[Scope, Signature]]]] = []
    for scope, described in found:
        for merged, members in groups:
            if fits(merged, described):  # type: ignore[arg-type]
                members.append((scope, described))
                merged.update(described)
                break
        else:
            groups.append((dict(described), [(scope, described)]))
    return [members for _, members in groups]


def _imports(body: str, others: Sequence[str]) -> str:
    """The imports that the body needs; `others` are those of a function beside the classes."""
    lines = []
    if re.search(r"\btorch\.", body):
        lines.append("import torch")
    tensor = "Tensor, " if re.search(r"\bTensor\b", body) else ""
    lines.append(f"from torch import {tensor}nn")
    if re.search(r"\bF\.", body):
        lines.append("from torch.nn import functional as F")
    lines += others
    if "checkpoint(" in body:
        lines.append("from torch.utils.checkpoint import checkpoint")
    return "\n".join(lines)
