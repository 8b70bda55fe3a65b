"""Files of torch.export: loaded without cnnplan, they give the bits of the built model, for batches of any size."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest
import torch

import cnnplan
from cnnplan.runtime.exporting import export
from tests.emit import small_networks
from tests.language.helpers import net
from tests.runtime.exporting.running import HEAD, export_agrees, inputs

if TYPE_CHECKING:
    from pathlib import Path

MEMBERS = ("code", "graph", "meta", "code_", "recompile", "_guards_fn", "_code", "print_readable")
"""Names that modules of torch.fx have for themselves, and one that is a way out."""


@pytest.mark.parametrize("name", small_networks.NAMES)
def test_a_network(name: str, tmp_path: Path) -> None:
    export_agrees(small_networks.plan(name), tmp_path / "model.pt2")


@pytest.mark.parametrize("chain", [True, False])
def test_layers_named_as_members_of_a_graph_module(chain: bool, tmp_path: Path) -> None:
    layers = "".join(f"- conv: {{out_channels: 4, kernel_size: 1}}\n  name: {name}\n" for name in MEMBERS)
    layers += "" if chain else "- add:\n  from: [code, previous]\n"
    plan = cnnplan.plan(net(layers, head=f"{HEAD}input: [4, 6]\n"))
    export_agrees(plan, tmp_path / "model.pt2")
    state = torch.export.load(tmp_path / "model.pt2").state_dict
    assert {"code__.weight", "code_.weight", "graph_.weight"} <= set(state)
    assert "code.weight" not in state


def test_paths_that_are_one_name_when_flattened(tmp_path: Path) -> None:
    conv = "conv: {out_channels: 4, kernel_size: 1}"
    layers = f"- layers:\n  - {conv}\n    name: b_c\n  name: a\n- layers:\n  - {conv}\n    name: c\n  name: a_b\n"
    export_agrees(cnnplan.plan(net(layers, head=f"{HEAD}input: [4, 6]\n")), tmp_path / "model.pt2")


def test_slices_are_folded_into_the_batch(tmp_path: Path) -> None:
    layers = "- each: 1\n  layers:\n    - conv: {out_channels: 2, kernel_size: 3}\n    - batchnorm\n"
    export_agrees(cnnplan.plan(net(layers, head=f"{HEAD}input: [3, 4, 6, 5]\n")), tmp_path / "model.pt2")


def test_a_norm_that_takes_no_single_sample(tmp_path: Path) -> None:
    layers = "- batchnorm: {track_running_stats: false}\n"
    export_agrees(cnnplan.plan(net(layers, head=f"{HEAD}input: [4]\n")), tmp_path / "model.pt2", (2, 5))


def test_what_is_random_in_training_is_not_there(tmp_path: Path) -> None:
    """Each of these is the identity in evaluation: doubled in all, since two branches add up."""
    layers = """
        - add:
            a: [{stochastic_depth: 0.5}, {dropout: 0.9}, {dropout2d: 0.9}]
            b: [alpha_dropout, {gaussian_noise: 3}]
        """
    plan = cnnplan.plan(net(layers, head=f"{HEAD}input: [4, 6]\n"))
    export(plan, "export", tmp_path / "model.pt2")
    (x,) = inputs(plan, 3)
    assert torch.equal(torch.export.load(tmp_path / "model.pt2").module()(x), 2 * x)


def test_metadata(tmp_path: Path) -> None:
    text = net("- linear: 1\n", head=f"{HEAD}description: 'café → x'\ninput: [4]\n")
    export(cnnplan.plan(text), "export", tmp_path / "model.pt2")
    extra = {"cnnplan.json": ""}
    torch.export.load(tmp_path / "model.pt2", extra_files=extra)
    assert json.loads(extra["cnnplan.json"]) == {
        "network": "net",
        "cnnplan": cnnplan.__version__,
        "description": "café → x",
        "inputs": {"input": [4]},
        "outputs": {"linear1": [1]},
    }


def test_no_paths_of_this_machine(tmp_path: Path) -> None:
    export(small_networks.plan("two_outputs"), "export", tmp_path / "model.pt2")
    with zipfile.ZipFile(tmp_path / "model.pt2") as archive:
        assert not [name for name in archive.namelist() if b".py" in archive.read(name)]
