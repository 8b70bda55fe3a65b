"""Names that a spec may give, and names that the package exports."""

import importlib
import pkgutil

from torch import nn

import cnnplan
from cnnplan.names import MODULE_MEMBERS, problem_of_layer


def test_members_of_modules_are_those_of_torch() -> None:
    containers = nn.Module(), nn.Sequential(), nn.ModuleList(), nn.ModuleDict()
    members = {name for module in containers for name in dir(module) if not name.startswith("__")}
    assert members - MODULE_MEMBERS == set()


def test_a_layer_is_not_called_like_a_member() -> None:
    for name in (
        "forward",
        "train",
        "half",
        "_modules",
        "class",
        "input",
        "previous",
        "when",
        "9lives",
        "a.b",
        "é",
        "",
    ):
        assert problem_of_layer(name)
    for name in ("stem", "_x", "Forward", "conv1", "print", "x" * 60):
        assert not problem_of_layer(name)
    assert problem_of_layer("x" * 61)
    assert not problem_of_layer("half", has_module=False)


def test_every_exported_name_is_there() -> None:
    for name in cnnplan.__all__:
        assert getattr(cnnplan, name) is not None
    assert set(dir(cnnplan)) == set(cnnplan.__all__)


def test_no_submodule_hides_an_exported_name() -> None:
    # importing a submodule binds its name in the package, over the function of the same name
    assert not {found.name for found in pkgutil.iter_modules(cnnplan.__path__)} & set(cnnplan.__all__)


def test_public_functions_and_classes_have_docstrings() -> None:
    bare = []
    for found in pkgutil.walk_packages(cnnplan.__path__, "cnnplan."):
        if found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        if not module.__doc__ and not found.name.startswith("cnnplan.layers."):
            bare.append(found.name)
        for name, value in vars(module).items():
            own = getattr(value, "__module__", None) == found.name
            if own and callable(value) and not name.startswith("_") and not value.__doc__:
                bare.append(f"{found.name}.{name}")
    assert bare == []
