"""Trained weights as files, held against the libraries that write and read them and torch's load_state_dict."""

import json
import os
import resource
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import cnnplan
from cnnplan import UsageError
from cnnplan.runtime.training.artifact import Trained, fitted, into, load, save

TEXT = """\
cnnplan: 1
name: net
input: [3, 12, 12]
variables: {classes: 10}
layers:
  - conv: {out_channels: 6, kernel_size: 3}
  - batchnorm
  - conv: {out_channels: 16, kernel_size: 5}
    name: second
  - global_avgpool
  - linear: =classes
"""
PLAN = cnnplan.plan(TEXT)
TRAINED = Trained(
    ("cat", "dog; „Hund“\n"),
    ((0.5, 0.25, 0.1), ()),
    ((0.2, 1.0, 3.0), ()),
    "net",
    "cross_entropy",
    ((3, 8, 8),),
    " --set a=1",
)


def model(seed: int = 0, text: str = TEXT) -> nn.Module:
    torch.manual_seed(seed)
    return cnnplan.build(text)


def same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[k], v) for k, v in expected.items())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def complaint(call: Callable[[], object]) -> str:
    with pytest.raises(UsageError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 700
    return message


# ------------------------------------------------------------------------- files


def test_what_is_saved_is_what_the_library_reads(tmp_path: Path) -> None:
    state = model().state_dict()
    path = tmp_path / "model.safetensors"
    save(path, state, TRAINED)
    assert same(safetensors.torch.load_file(path), state)
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "pt"  # what transformers and others look for
    assert json.loads(metadata["cnnplan"]) == {
        "classes": ["cat", "dog; „Hund“\n"],
        "mean": [[0.5, 0.25, 0.1], []],
        "std": [[0.2, 1.0, 3.0], []],
        "network": "net",
        "loss": "cross_entropy",
        "inputs": [[3, 8, 8]],
        "options": " --set a=1",
    }
    found, trained = load(str(path))
    assert same(found, state)
    assert trained == TRAINED
    assert names(tmp_path) == ["model.safetensors"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_tensors_that_share_memory_or_are_views(tmp_path: Path) -> None:
    whole = torch.arange(12.0).view(3, 4)
    tensors = {"a": whole, "b": whole, "c": whole.t(), "d": whole[1], "e": torch.zeros(0, 3), "f": torch.tensor(7)}
    save(tmp_path / "a.safetensors", tensors, TRAINED)
    assert same(load(tmp_path / "a.safetensors")[0], tensors)


def test_a_disk_without_room_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save(path, {"a": torch.ones(3)}, TRAINED)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        message = complaint(lambda: save(path, {"a": torch.ones(10_000)}, TRAINED))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert message == f"cannot write {path}: file too large"
    assert path.read_bytes() == before
    assert names(tmp_path) == ["model.safetensors"]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot write" in complaint(lambda: save(tmp_path / "file" / "a.safetensors", {"a": torch.ones(1)}, TRAINED))
    (tmp_path / "folder").mkdir()
    assert "is a directory" in complaint(lambda: save(tmp_path / "folder", {"a": torch.ones(1)}, TRAINED))
    assert names(tmp_path) == ["file", "folder"]


WRONG: dict[str, Any] = {
    "no JSON": "{",
    "deep": "[" * 100_000,
    "a list": "[]",
    "a key is missing": json.dumps({k: v for k, v in TRAINED._asdict().items() if k != "std"}),
    "classes are no list": json.dumps(TRAINED._asdict() | {"classes": "ab"}),
    "classes are numbers": json.dumps(TRAINED._asdict() | {"classes": [1, 2]}),
    "means are flat": json.dumps(TRAINED._asdict() | {"mean": [0.5], "std": [0.5]}),
    "a mean is a flag": json.dumps(TRAINED._asdict() | {"mean": [[True]], "std": [[1]]}),
    "a mean is no number": json.dumps(TRAINED._asdict() | {"mean": [[float("nan")]], "std": [[1]]}),
    "a mean is too large": json.dumps(TRAINED._asdict() | {"mean": [[10**400]], "std": [[1]]}),
    "a deviation is 0": json.dumps(TRAINED._asdict() | {"mean": [[0]], "std": [[0]]}),
    "they are not as many": json.dumps(TRAINED._asdict() | {"mean": [[0, 0]], "std": [[1]]}),
    "a loss nobody knows": json.dumps(TRAINED._asdict() | {"loss": "hinge"}),
    "a loss that is a list": json.dumps(TRAINED._asdict() | {"loss": []}),
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_metadata_that_train_did_not_write(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file({"a": torch.ones(1)}, path, {"cnnplan": text})
    assert complaint(lambda: load(path)) == (
        f"`cnnplan` in the metadata of {path} is not what `cnnplan train` writes there"
    )


def test_safetensors_of_others(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file({"a": torch.ones(1)}, path)
    assert load(path)[1] is None
    safetensors.torch.save_file({"a": torch.ones(1)}, path, {"format": "pt"})
    assert load(path)[1] is None
    path.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    assert "its header would have" in complaint(lambda: load(path))
    path.write_bytes(struct.pack("<Q", 2) + b"{}")
    assert "has no tensors" in complaint(lambda: load(path))
    assert "no such file" in complaint(lambda: load(tmp_path / "b.safetensors"))
    four = json.dumps({"a": {"dtype": "F6_E2M3", "shape": [4], "data_offsets": [0, 3]}}).encode()
    path.write_bytes(struct.pack("<Q", len(four)) + four + b"abc")
    assert f"cannot read {path}" in complaint(lambda: load(path))  # what torch has no dtype for


def test_several_files(tmp_path: Path) -> None:
    state = model().state_dict()
    keys = list(state)
    parts = {"one.safetensors": keys[:5], "two.safetensors": keys[5:]}
    for file, part in parts.items():
        safetensors.torch.save_file({name: state[name] for name in part}, tmp_path / file)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {name: file for file, part in parts.items() for name in part}}))
    assert same(load(index)[0], state)


@pytest.mark.parametrize("wrap", [None, "state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("suffix", [".pt", ".PTH", ".ckpt", ".bin"])
def test_what_torch_saves(tmp_path: Path, suffix: str, wrap: str | None) -> None:
    state = model().state_dict()
    other = {"epoch": 3, "lr": torch.tensor(0.1), "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}}
    torch.save({wrap: state, **other} if wrap else state, tmp_path / f"a{suffix}")
    found, trained = load(tmp_path / f"a{suffix}")
    assert same(found, state)
    assert trained is None


class Touch:
    """A pickle that makes a folder when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


def test_no_code_of_a_file_runs(tmp_path: Path) -> None:
    torch.save({"state_dict": Touch(tmp_path / "made")}, tmp_path / "evil.pt")
    message = complaint(lambda: load(tmp_path / "evil.pt"))
    assert "torch.load(weights_only=True) refuses" in message
    assert "such as " in message
    assert not (tmp_path / "made").exists()


def test_a_whole_model_says_how_to_convert_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Sequential(nn.Linear(3, 2))
    monkeypatch.chdir(tmp_path)
    for content in (net, {"state_dict": net.state_dict(), "args": Touch(tmp_path / "made")}):
        torch.save(content, "whole.pt")
        message = complaint(lambda: load("whole.pt"))
        assert message.startswith("whole.pt has more than tensors in it, such as ")
        exec(message.partition("with ")[2])
        assert same(load("whole_state.pt")[0], net.state_dict())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "it holds a list"),
        ({}, "it is empty"),
        ({"epoch": 3, "state_dict": {}}, "its keys are 'epoch', 'state_dict'"),
        ({"state_dict": [torch.ones(2)]}, "its keys are 'state_dict'"),
        (torch.ones(2), "it holds a Tensor"),
    ],
)
def test_files_without_a_state_dict(tmp_path: Path, content: Any, said: str) -> None:
    torch.save(content, tmp_path / "a.pt")
    message = complaint(lambda: load(tmp_path / "a.pt"))
    assert message.startswith(f"{tmp_path / 'a.pt'} has no state dict, neither at its top nor under 'state_dict', ")
    assert message.endswith(said)


def test_tensors_without_plain_numbers(tmp_path: Path) -> None:
    for tensor in (torch.eye(3).to_sparse(), torch.empty(3, device="meta")):
        torch.save({"a.weight": tensor}, tmp_path / "a.pt")
        said = f"tensor 'a.weight' of {tmp_path / 'a.pt'} is sparse, quantized or without numbers"
        assert complaint(lambda: load(tmp_path / "a.pt")) == said


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save(model().state_dict(), path)
    whole = path.read_bytes()
    for content in (
        b"",
        b"nonsense",
        whole[: len(whole) // 2],
        whole[:100],
        b"\x80\x02}q\x00",
        b"PK\x03\x04" + bytes(50),
    ):
        path.write_bytes(content)
        assert str(path) in complaint(lambda: load(path))
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert "`git lfs pull` fetches it" in complaint(lambda: load(path))
    assert complaint(lambda: load(tmp_path / "b.pt")) == f"cannot read {tmp_path / 'b.pt'}: no such file or directory"
    (tmp_path / "c.pt").mkdir()
    assert "is a directory" in complaint(lambda: load(tmp_path / "c.pt"))
    os.mkfifo(tmp_path / "d.pt")
    assert "is no plain file" in complaint(lambda: load(tmp_path / "d.pt"))


# ------------------------------------------------------------------------ models


@pytest.mark.parametrize("prefix", ["", "module.", "net.", "model.", "_orig_mod.", "net._orig_mod."])
def test_prefixes_of_those_who_wrap_models(prefix: str) -> None:
    state = model(1).state_dict()
    net = model(2)
    given = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    if prefix:
        given["accuracy.total"] = torch.tensor(3)  # beside the network: a metric's own
    assert into(net, PLAN, given, "f.ckpt", strict=True) == ()
    assert same(net.state_dict(), state)
    assert fitted(PLAN, given).prefix == prefix


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_floats_become_float32(dtype: torch.dtype) -> None:
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in model(1).state_dict().items()}
    net = model(2)
    assert into(net, PLAN, state, "f.pt", strict=True) == ()
    assert same(net.state_dict(), {k: v.float() if v.is_floating_point() else v for k, v in state.items()})


def test_counters_of_old_checkpoints() -> None:
    state = model(1).state_dict()
    for counter in (None, torch.tensor([4])):
        given = {k: v for k, v in state.items() if k != "batchnorm1.num_batches_tracked"}
        if counter is not None:
            given["batchnorm1.num_batches_tracked"] = counter
        net = model(2)
        assert into(net, PLAN, given, "f.pt", strict=True) == ()
        assert net.state_dict()["batchnorm1.num_batches_tracked"] == (0 if counter is None else 4)
        (line,) = into(model(2), PLAN, given, "f.pt", strict=False)
        assert line == f"loaded {10 + (counter is not None)} of {10 + (counter is not None)} tensors of f.pt"


def test_the_first_difference_is_named_in_the_order_of_the_layers() -> None:
    state = model().state_dict()
    # the file has them in another order, as safetensors sorts them
    given = dict(sorted({**state, "second.weight": torch.zeros(16, 3, 5, 5), "a.weight": torch.ones(2)}.items()))
    del given["linear1.bias"]
    message = complaint(lambda: into(model(), PLAN, given, "f.pt", strict=True))
    assert message == (
        "layer 'second' (line 8): weight is 16x6x5x5 in the spec, 16x3x5x5 in f.pt; 2 more differ: "
        "is it a checkpoint of another architecture?"
    )
    del given["conv1.weight"]
    assert complaint(lambda: into(model(), PLAN, given, "f.pt", strict=True)).startswith(
        "layer 'conv1' (line 6): weight is 6x3x3x3 in the spec, and not in f.pt; 3 more differ"
    )
    extra = complaint(lambda: into(model(), PLAN, {**state, "fc2.weight": torch.zeros(2, 3)}, "f.pt", strict=True))
    assert extra.startswith("'fc2.weight' of 2x3 in f.pt belongs to no layer of 'net': is it a checkpoint")
    whole = complaint(
        lambda: into(model(), PLAN, {**state, "linear1.bias": torch.zeros(10, dtype=torch.int64)}, "f.pt", strict=True)
    )
    assert "bias is 10 in the spec, 10 in f.pt (I64, where floats are expected)" in whole


def test_another_number_of_classes_is_recognized() -> None:
    given = model(0, TEXT.replace("classes: 10", "classes: 7")).state_dict()
    message = complaint(lambda: into(model(), PLAN, given, "f.pt", strict=True))
    assert message.startswith("layer 'linear1' (line 11): weight is 10x16 in the spec, 7x16 in f.pt; 1 more differs: ")
    assert "--set classes=7" in message


def test_a_refused_file_changes_nothing() -> None:
    net = model(2)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    given = model(1).state_dict()
    del given["linear1.bias"]
    complaint(lambda: into(net, PLAN, given, "f.pt", strict=True))
    assert same(net.state_dict(), before)


def test_transfer_takes_what_fits_and_leaves_the_rest() -> None:
    given = model(1, TEXT.replace("classes: 10", "classes: 7")).state_dict()
    given["extra.weight"] = torch.ones(3)
    del given["second.bias"]
    net = model(2)
    (line,) = into(net, PLAN, given, "f.pt", strict=False)
    assert line == (
        "loaded 8 of 11 tensors of f.pt; newly initialized: linear1.weight (10x16; the file has 7x16), "
        "linear1.bias (10; the file has 7), second.bias; not used: 'extra.weight'"
    )
    fresh = model(2).state_dict()
    for name, tensor in net.state_dict().items():
        own = name in ("linear1.weight", "linear1.bias", "second.bias")
        assert torch.equal(tensor, (fresh if own else given)[name]), name


def test_nothing_fits() -> None:
    message = complaint(lambda: into(model(), PLAN, {"a.weight": torch.ones(2, 2)}, "f.pt", strict=False))
    assert message == ("nothing of f.pt fits 'net': no shape of the network is in the file: it is of another network")
    renamed = {f"layer{i}": tensor for i, tensor in enumerate(model().state_dict().values())}
    message = complaint(lambda: into(model(), PLAN, renamed, "f.pt", strict=False))
    assert message.startswith("nothing of f.pt fits 'net': shapes agree in order")


def test_weights_that_are_no_numbers() -> None:
    given = model().state_dict()
    given["linear1.bias"][3] = float("inf")
    given["second.weight"][0, 0, 0, 0] = float("nan")
    said = "2 tensors of f.pt have NaN or infinite numbers, first in layer 'second' (line 8)"
    assert into(model(), PLAN, given, "f.pt", strict=True) == (said,)
    assert into(model(), PLAN, given, "f.pt", strict=False)[1:] == (said,)
    narrow = {"linear1.bias": torch.full((10,), float("nan")).to(torch.float8_e4m3fn)}
    (_, line) = into(model(), PLAN, narrow, "f.pt", strict=False)
    assert line == "1 tensor of f.pt has NaN or infinite numbers, first in layer 'linear1' (line 11)"


EDITS: dict[str, Callable[[dict[str, Tensor], str], None]] = {
    "none": lambda tensors, name: None,
    "drop": lambda tensors, name: tensors.__delitem__(name),
    "rename": lambda tensors, name: tensors.update({f"{name}_": tensors.pop(name)}),
    "extra": lambda tensors, name: tensors.update({f"{name}_": torch.zeros(3)}),
    "longer": lambda tensors, name: tensors.update({name: torch.zeros(*tensors[name].shape, 2)}),
    "double": lambda tensors, name: tensors.update({name: tensors[name].double()}),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(EDITS)), st.integers(0, 10)), max_size=3), st.booleans())
def test_torch_takes_what_fits_and_nothing_else(edits: list[tuple[str, int]], prefixed: bool) -> None:
    tensors = dict(model(1).state_dict())
    for edit, index in edits:
        EDITS[edit](tensors, list(tensors)[index % len(tensors)])
    net, judge = model(2), model(2)
    given = {f"module.{k}": v for k, v in tensors.items()} if prefixed else tensors
    try:
        judge.load_state_dict(tensors, strict=True)
    except RuntimeError:
        complaint(lambda: into(net, PLAN, given, "f.pt", strict=True))
    else:
        into(net, PLAN, given, "f.pt", strict=True)
        assert same(net.state_dict(), judge.state_dict())
