"""Which names a spec may give."""

from __future__ import annotations

import keyword
import re
from typing import Final

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_NAME = 60

MERGES: Final = ("add", "multiply", "concat", "subtract", "maximum", "mean")
MODIFIERS: Final = ("name", "from", "if", "repeat", "trainable", "checkpoint", "each")
RESERVED: Final = frozenset({"else", "when", "over"})
REFERENCES: Final = frozenset({"input", "previous"})
NOT_VARIABLES: Final = frozenset({"index", "in_channels", "in_size", "true", "false"})

# What torch.nn.Module, Sequential, ModuleList and ModuleDict call their own: a layer of this name
# would be hidden by it. A test compares the list with torch.
MODULE_MEMBERS: Final = frozenset(
    """
    T_destination add_module append apply bfloat16 buffers call_super_init children clear compile
    cpu cuda double dump_patches eval extend extra_repr float forward get_buffer get_extra_state
    get_parameter get_submodule half insert ipu items keys load_state_dict modules mtia
    named_buffers named_children named_modules named_parameters parameters pop
    register_backward_hook register_buffer register_forward_hook register_forward_pre_hook
    register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module
    register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
    set_extra_state set_submodule share_memory state_dict to to_empty train training type update
    values xpu zero_grad _apply _backward_hooks _backward_pre_hooks _buffers _call_impl
    _compiled_call_impl _forward_hooks _forward_hooks_always_called _forward_hooks_with_kwargs
    _forward_pre_hooks _forward_pre_hooks_with_kwargs _get_abs_string_index _get_backward_hooks
    _get_backward_pre_hooks _get_item_by_idx _get_name _is_full_backward_hook
    _load_from_state_dict _load_state_dict_post_hooks _load_state_dict_pre_hooks
    _maybe_warn_non_full_backward_hook _modules _named_members _non_persistent_buffers_set
    _parameters _register_load_state_dict_pre_hook _register_state_dict_hook
    _replicate_for_data_parallel _save_to_state_dict _slow_forward _state_dict_hooks
    _state_dict_pre_hooks _version _wrapped_call_impl
    """.split()  # noqa: SIM905 - a block of words reads better than a hundred literals
)


def problem(name: object) -> str:
    """Why this cannot be a name anywhere in a spec; "" where it can."""
    if not isinstance(name, str) or not IDENTIFIER.fullmatch(name):
        return "a name is made of letters, digits and `_`, and starts with no digit"
    if len(name) > MAX_NAME:
        return f"a name has at most {MAX_NAME} characters"
    if keyword.iskeyword(name) or name in RESERVED:
        return "the word is reserved"
    if name.startswith("__"):
        return "a name does not start with `__`"
    return ""


def problem_of_layer(name: object, has_module: bool = True) -> str:
    """Why this cannot name a layer, branch or group; "" where it can.

    Args:
        has_module: whether it becomes an attribute of a torch module.
    """
    if found := problem(name):
        return found
    if name in REFERENCES:
        return f"`{name}` already names a value of every list"
    if has_module and name in MODULE_MEMBERS:
        return f"`{name}` is a member of torch.nn.Module"
    return ""


def problem_of_variable(name: object) -> str:
    """Why this cannot name a variable, param or counter; "" where it can."""
    if name in NOT_VARIABLES:
        return f"`{name}` has a meaning of its own in expressions"
    return problem(name)
