"""Counts the bytes that a piece of torch code allocates: every storage, from when it is made to when it is freed.

    with Tracker() as tracker:
        loss = model(x).sum()
        tracker.live, tracker.peak

What a kernel allocates inside itself and frees before it returns is not seen: torch's own operations
(`aten`) are, forward and backward, whatever made them. Autograd adds gradients in place where it holds
the only reference; a dispatch mode holds another, and makes it allocate the sum. Sums in the backward
pass are therefore counted when the next storage is made, when the old sum is gone.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Tracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Live and peak bytes of the storages made inside it.

    Attributes:
        live: bytes of storages that were made inside and are alive.
        peak: the most there were at once.
        peak_at: the operation that made the last of them.
    """

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self.peak = 0
        self.peak_at = ""
        self._alive: dict[int, weakref.finalize[Any, Any]] = {}
        self._known = {id(t.untyped_storage()): t.untyped_storage() for t in known}

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._made(value, func)
        return result

    def _made(self, tensor: Tensor, func: object) -> None:
        storage = tensor.untyped_storage()
        key = id(storage)
        if key in self._alive or key in self._known:
            return
        size = storage.nbytes()
        self.live += size
        summed = func is torch.ops.aten.add.Tensor and torch._C._current_graph_task_id() >= 0  # noqa: SLF001 - no other way to ask
        if self.live > self.peak and not summed:
            self.peak, self.peak_at = self.live, str(func)
        self._alive[key] = weakref.finalize(storage, self._freed, key, size)

    def _freed(self, key: int, size: int) -> None:
        self.live -= size
        self._alive.pop(key, None)
