"""Does a checkpoint fit? Files written byte by byte, and torch's own load_state_dict as the judge."""

import json
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import cnnplan
from cnnplan import UsageError, zoo
from cnnplan.planning import Plan
from cnnplan.render.weights import as_dict, lines
from cnnplan.weights import Tensor as Header
from cnnplan.weights import Weights, compare, read_header, state
from tests import reference_models as reference
from tests.emit import small_networks
from tests.networks import Spec, networks

WORDS = {
    torch.float32: "F32",
    torch.float64: "F64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
TEXT = """\
cnnplan: 1
name: net
input: [3, 12, 12]
variables: {classes: 10}
blocks:
  unit:
    params: {width: int}
    layers:
      - conv: {out_channels: =width, kernel_size: 3, padding: 1, bias: false}
      - batchnorm
      - relu
layers:
  - unit: 8
  - unit: 16
  - global_avgpool
  - linear: =classes
"""
PLAN = cnnplan.plan(TEXT)


def written(path: Path, tensors: Mapping[str, Tensor], metadata: Any = None) -> Path:
    """A file as the library writes it: larger dtypes first, then by name."""
    ordered = sorted(tensors.items(), key=lambda one: (-one[1].element_size(), one[0]))
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    data = b""
    for name, tensor in ordered:
        part = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
        offsets = [len(data), len(data) + len(part)]
        header[name] = {"dtype": WORDS[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        data += part
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def header(tensors: Mapping[str, Tensor]) -> dict[str, Header]:
    return {name: Header(WORDS[tensor.dtype], tuple(tensor.shape)) for name, tensor in tensors.items()}


def meta(spec: Any) -> torch.nn.Module:
    with torch.device("meta"):
        return cnnplan.build(spec)


def compared(tensors: Mapping[str, Tensor], plan: Plan = PLAN) -> Weights:
    return compare(plan, header(tensors))


# ------------------------------------------------------------------ state dicts


def agrees(plan: Plan, model: torch.nn.Module) -> None:
    """The names, shapes and dtypes of a state dict, in its order."""
    found = model.state_dict()
    planned = state(plan)
    assert list(planned) == list(found)
    for name, tensor in found.items():
        assert planned[name].shape == tuple(tensor.shape)
        assert f"torch.{planned[name].dtype}" == str(tensor.dtype)
    assert compare(plan, header(found)).fits


@pytest.mark.parametrize("name", zoo.names())
def test_the_state_of_the_zoo(name: str) -> None:
    plan = cnnplan.plan(zoo.find(name))
    agrees(plan, meta(plan))


@pytest.mark.parametrize("name", small_networks.NAMES)
def test_the_state_of_networks_with_every_feature(name: str) -> None:
    """Shared layers, numbered copies, branches that are numbers, padding beside modules, frozen layers."""
    plan = small_networks.plan(name)
    agrees(plan, meta(plan))


@given(networks())
def test_the_state_of_random_networks(spec: Spec) -> None:
    plan = cnnplan.plan(spec)
    agrees(plan, meta(plan))


# ----------------------------------------------------------------- comparisons


def test_a_file_of_a_model_fits_it(tmp_path: Path) -> None:
    model = cnnplan.build(PLAN)
    found = read_header(written(tmp_path / "net.safetensors", model.state_dict(), {"format": "pt"}))
    assert found == header(model.state_dict())
    weights = compare(PLAN, found)
    assert weights.fits
    assert (weights.tensors, weights.found, weights.fitting, weights.hints) == (14, 14, 14, ())
    assert lines(weights, PLAN).plain == "weights     all 14 tensors fit\n\n"


EDITS: dict[str, Callable[[dict[str, Tensor], str], None]] = {
    "none": lambda tensors, name: None,
    "drop": lambda tensors, name: tensors.__delitem__(name),
    "rename": lambda tensors, name: tensors.update({f"{name}_": tensors.pop(name)}),
    "extra": lambda tensors, name: tensors.update(extra=torch.zeros(3)),
    "longer": lambda tensors, name: tensors.update({name: torch.zeros(*tensors[name].shape, 2)}),
    "wider": lambda tensors, name: tensors.update({name: torch.zeros(*tensors[name].shape[:-1], 99)}),
    "one": lambda tensors, name: tensors.update({name: torch.zeros(1)}),
    "half": lambda tensors, name: tensors.update({name: tensors[name].half()}),
    "double": lambda tensors, name: tensors.update({name: tensors[name].double()}),
}


@given(st.sampled_from(sorted(EDITS)), st.integers(0, 13))
def test_torch_takes_what_fits_and_nothing_else(edit: str, index: int) -> None:
    model = cnnplan.build(PLAN)
    tensors = dict(model.state_dict())  # without torch's metadata, as from a file
    EDITS[edit](tensors, list(tensors)[index])
    found = compared(tensors)
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        assert not found.fits
        said = str(error)
        for planned in found.missing:
            assert f'"{planned.name}"' in said.partition("Missing key(s)")[2].partition("Unexpected")[0]
        for name, _ in found.unexpected:
            assert f'"{name}"' in said.partition("Unexpected key(s)")[2]
        for one in found.mismatched:
            assert f"size mismatch for {one.planned.name}:" in said
        count = len(found.missing) + len(found.unexpected) + len(found.mismatched)
        assert said.count('"') / 2 + said.count("size mismatch") == count
    else:
        assert found.fits


def test_counters_may_be_absent() -> None:
    """Torch starts them from 0 where a state dict, without torch's metadata, has none."""
    model = cnnplan.build(PLAN)
    tensors = {name: t for name, t in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    model.load_state_dict(tensors, strict=True)
    found = compared(tensors)
    assert found.fits
    assert (found.counters, found.fitting) == (2, 12)
    assert "all 14 tensors fit; 2 counters of batches, not in the file, start from 0" in lines(found, PLAN).plain


def test_integers_are_a_difference_and_narrow_floats_are_not() -> None:
    tensors = dict(cnnplan.build(PLAN).state_dict())
    tensors["linear1.weight"] = tensors["linear1.weight"].to(torch.int32)
    (one,) = compared(tensors).mismatched
    assert (one.planned.name, one.note) == ("linear1.weight", "I32, where floats are expected")
    half = {name: t.bfloat16() if t.is_floating_point() else t for name, t in tensors.items()} | {
        "linear1.weight": torch.zeros(10, 16, dtype=torch.float16)
    }
    found = compared(half)
    assert found.fits
    assert found.hints == ("11 in bfloat16, 1 in float16: load_state_dict makes float32 of them",)
    assert "  = note: 11 in bfloat16" in lines(found, PLAN).plain
    (hint,) = compare(PLAN, header(half) | {"linear1.weight": Header("F8_E4M3", (10, 16))}).hints
    assert hint.endswith("without the scales of narrow formats")


PAGE = """\
weights     the checkpoint does not fit 'net': 10 of 14 tensors fit, 14 are in the file
  2 of another shape
    unit1.conv1.weight  3x3x3x8 in the file, 8x3x3x3 here (line 9); the same axes in another order
    unit2.conv1.weight  16x72 in the file, 16x8x3x3 here (line 9); as many elements in another shape
  2 not in the file
    unit2.batchnorm1.weight  16 (line 10)
    linear1.bias             10 (line 16)
  2 of no layer
    fc.bias  F32 10
    gamma    F32 16

"""


def test_differences_are_listed_with_their_lines() -> None:
    tensors = dict(cnnplan.build(PLAN).state_dict())
    tensors["unit1.conv1.weight"] = torch.zeros(3, 3, 3, 8)
    tensors["unit2.conv1.weight"] = torch.zeros(16, 72)
    tensors["fc.bias"] = tensors.pop("linear1.bias")
    tensors["gamma"] = tensors.pop("unit2.batchnorm1.weight")
    found = compared(tensors)
    assert lines(found, PLAN).plain == PAGE
    out = json.loads(json.dumps(as_dict(found)))
    assert (out["fits"], out["tensors"], out["in_file"], out["fitting"]) == (False, 14, 14, 10)
    assert [one["name"] for one in out["missing"]] == ["unit2.batchnorm1.weight", "linear1.bias"]
    assert out["missing"][1] == {
        "name": "linear1.bias",
        "layer": "linear1",
        "line": 16,
        "shape": [10],
        "dtype": "float32",
    }
    assert out["unexpected"][0] == {"name": "fc.bias", "dtype": "F32", "shape": [10]}
    assert out["mismatched"][0]["found"] == {"dtype": "F32", "shape": [3, 3, 3, 8]}


def test_many_differences_are_cut() -> None:
    found = compared({})
    page = lines(found, PLAN).plain
    assert "  12 not in the file\n" in page
    assert "    and 6 more\n" in page
    assert found.counters == 2


# ----------------------------------------------------------------------- hints


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        ("module.", "(nn.DataParallel and DistributedDataParallel add it)"),
        ("_orig_mod.", "(torch.compile adds it)"),
        ("module._orig_mod.", "(nn.DataParallel and DistributedDataParallel add it)"),
        ("state_dict.", "(it is the key that the state dict was saved under)"),
        ("model.", "'model.': load {k.removeprefix('model.'): v for k, v in …}"),
        ("net.encoder.backbone.", "'net.encoder.backbone.': load"),
    ],
)
def test_a_prefix(prefix: str, said: str) -> None:
    tensors = {f"{prefix}{name}": t for name, t in cnnplan.build(PLAN).state_dict().items()}
    found = compared(tensors)
    assert not found.fits
    assert (found.prefix, found.fitting) == (prefix, 14)
    assert not found.missing
    (hint,) = found.hints
    assert hint.startswith(f"all 14 names in the file begin with '{prefix}'")
    assert said in hint
    more = tensors | {"loss.weight": torch.zeros(3)}
    (hint,) = compared(more).hints
    assert hint.startswith(f"14 of 15 names in the file begin with '{prefix}'")
    assert [name for name, _ in compared(more).unexpected] == ["loss.weight"]


def test_a_prefix_of_the_network() -> None:
    head, _, layers = TEXT.partition("\nlayers:\n")
    indented = layers.replace("  - ", "      - ")
    plan = cnnplan.plan(f"{head}\nlayers:\n  - layers:\n{indented}    name: net\n")
    tensors = cnnplan.build(PLAN).state_dict()
    found = compared(tensors, plan)
    assert (found.lacks, found.prefix, found.fitting, found.fits) == ("net.", "", 14, False)
    assert found.hints == ("all names of the network begin with 'net.', those in the file do not: put it before them",)


def test_another_number_of_classes() -> None:
    tensors = cnnplan.build(cnnplan.plan(TEXT, variables={"classes": 1000})).state_dict()
    found = compared(tensors)
    assert [(one.planned.name, one.found.shape) for one in found.mismatched] == [
        ("linear1.weight", (1000, 16)),
        ("linear1.bias", (1000,)),
    ]
    assert found.hints == (
        "'linear1' (line 16) gives 1,000 outputs in the file and 10 here, as with another number of classes: "
        "--set classes=1000, or load the rest without linear1.weight and linear1.bias",
    )
    assert compared(tensors, cnnplan.plan(TEXT, variables={"classes": 1000})).fits
    fixed = cnnplan.plan(TEXT.replace("=classes", "10"))
    assert "--set" not in compared(tensors, fixed).hints[0]


def test_another_width_is_no_other_number_of_classes() -> None:
    tensors = cnnplan.build(cnnplan.plan(TEXT.replace("unit: 8", "unit: 12"))).state_dict()
    assert compared(tensors).hints == ()


def test_other_names_in_the_same_order() -> None:
    tensors = list(cnnplan.build(PLAN).state_dict().values())
    found = compared({f"tensor{index}": t for index, t in enumerate(tensors)})
    assert found.hints == ("shapes agree in order: 12 of 12; only the names differ",)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("resnet18", lambda: reference.ResNet(reference.BasicBlock, [2, 2, 2, 2])),
        ("vgg11_bn", lambda: reference.vgg([1, 1, 2, 2, 2], 7, batchnorm=True)),
        ("squeezenet1_1", reference.squeezenet1_1),
        ("mobilenet_v2", reference.mobilenet_v2),
    ],
)
def test_networks_of_others_differ_in_names_alone(name: str, model: Callable[[], torch.nn.Module]) -> None:
    """Models with torchvision's names, sorted as a file has them."""
    plan = cnnplan.plan(zoo.find(name))
    with torch.device("meta"):
        tensors = model().state_dict()
    found = compare(plan, header(dict(sorted(tensors.items()))))
    assert found.fitting == 0 or len(found.missing) > 0
    (hint,) = found.hints
    assert "only the names differ" in hint or "only names and order differ, such as" in hint


def test_another_network() -> None:
    plan = cnnplan.plan("specs/lenet5.yaml")
    (hint,) = compared({"fc.weight": torch.zeros(7, 9)}, plan).hints
    assert hint == "no shape of the network is in the file: it is of another network"
    tensors = cnnplan.build(PLAN).state_dict()
    changed = {f"x{i}": t for i, t in enumerate(tensors.values())} | {"x0": torch.zeros(5)}
    assert compared(changed).hints == ("11 of the 12 shapes are in the file under other names",)


# ----------------------------------------------------------------------- files


def raw(path: Path, text: bytes | str | dict[str, Any], data: int = 0, length: int | None = None) -> Path:
    """A file with this header, and so many bytes behind it."""
    said = json.dumps(text) if isinstance(text, dict) else text
    header = said.encode() if isinstance(said, str) else said
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + b"\0" * data)
    return path


def tensor(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8), **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


@pytest.mark.parametrize(
    ("text", "data", "said"),
    [
        ({"a": tensor()}, 7, "is cut: its tensors have 8 bytes, but 7 follow the header"),
        ({"a": tensor()}, 9, "has 1 byte behind its last tensor"),
        ({"a": tensor(offsets=(0, 4))}, 4, "tensor 'a' of {path}, F32 2, needs 8 bytes, but its offsets span 4 bytes"),
        ({"a": tensor(offsets=(8, 0))}, 8, "needs 8 bytes, but its offsets span -8 bytes"),
        ({"a": tensor(offsets=(-8, 0))}, 8, "shape or offsets that are no list of integers ≥ 0"),
        ({"a": tensor(shape=(-2,))}, 8, "no list of integers ≥ 0"),
        ({"a": tensor(shape=(2.0,))}, 8, "no list of integers ≥ 0"),
        ({"a": tensor(shape=(True, 2))}, 8, "no list of integers ≥ 0"),
        ({"a": tensor(shape="2")}, 8, "no list of integers ≥ 0"),
        ({"a": tensor(shape=(2**70,))}, 8, "no list of integers ≥ 0"),
        ({"a": tensor(shape=(2**40, 2**40))}, 8, "needs 4,835,703,278,458,516,698,824,704 bytes"),
        ({"a": tensor(shape=[2] * 65)}, 8, "no list of integers ≥ 0"),
        ({"a": tensor(offsets=(0, 8, 16))}, 8, "no list of integers ≥ 0"),
        ({"a": tensor(dtype="Q4")}, 8, "has a dtype that is not known: 'Q4'"),
        ({"a": tensor(dtype=["F32"])}, 8, "has a dtype that is not known"),
        ({"a": tensor(more=1)}, 8, "has not the keys dtype, shape and data_offsets, or others"),
        ({"a": [1]}, 8, "has not the keys"),
        ({"a": tensor(), "b": tensor(offsets=(4, 12))}, 12, "tensor 'b' of {path} overlaps what is before it"),
        ({"a": tensor(), "b": tensor(offsets=(12, 20))}, 20, "tensor 'b' of {path} leaves 4 bytes unused before it"),
        ({"a": tensor(), "b": tensor()}, 8, "overlaps"),
        ({"__metadata__": {"a": 1}}, 0, "`__metadata__` of {path} is no mapping of texts"),
        ({"__metadata__": []}, 0, "`__metadata__`"),
        ('{"a": 1, "a": 2}', 0, "has 'a' twice"),
        ('{"a": {"dtype": "F32", "dtype": "F16"}}', 0, "has 'dtype' twice"),
        ("[]", 0, "is no JSON object"),
        ("{", 0, "is no JSON"),
        ("", 0, "is no JSON"),
        (b"\xff\xfe{}", 0, "is no JSON"),
        ("[" * 100_000, 0, "is nested too deeply"),
        ('{"a":' * 50_000, 0, "is nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", 0, "is no JSON"),
        ('{"a": NaN}', 0, "is no JSON: NaN is no number"),
        ("[" + "1," * 4_000_001 + "1]", 0, "brackets and commas: no checkpoint needs so many"),
    ],
)
def test_a_header_that_is_not_right(tmp_path: Path, text: Any, data: int, said: str) -> None:
    path = raw(tmp_path / "bad.safetensors", text, data)
    with pytest.raises(UsageError) as caught:
        read_header(path)
    message = str(caught.value)
    assert said.replace("{path}", str(path)) in message
    assert "\n" not in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no safetensors file: it has 0 bytes"),
        (b"1234567", "it has 7 bytes"),
        (struct.pack("<Q", 100_000_001) + b"{}", "its header would have 100,000,001 bytes, over 100 MB"),
        (struct.pack("<Q", 2**64 - 1), "over 100 MB"),
        (struct.pack("<Q", 3) + b"{}", "is cut: its header would have 3 bytes, but 2 follow"),
        (b"PK\x03\x04" + b"\0" * 40, "is a pickle or zip file, as torch.save writes"),
        (b"\x80\x02}q\x00." + b"\0" * 40, "is a pickle or zip file, as torch.save writes"),
        (b"version https://git-lfs.github.com/spec/v1\n", "`git lfs pull` fetches it"),
    ],
)
def test_what_is_no_safetensors_file(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_header(path)
    assert said in str(caught.value)


def test_good_headers(tmp_path: Path) -> None:
    assert read_header(raw(tmp_path / "a.safetensors", "{}    ")) == {}
    assert read_header(raw(tmp_path / "a.safetensors", {"__metadata__": {"a": "{[,"}})) == {}
    tensors = {"b": tensor(offsets=(8, 16)), "e": tensor(shape=(0, 3), offsets=(8, 8)), "a": tensor()}
    found = read_header(raw(tmp_path / "a.safetensors", tensors, 16))
    assert list(found) == ["a", "e", "b"]
    assert found["e"] == Header("F32", (0, 3))
    scalar = {"n": tensor("I64", [], (0, 8)), "f": tensor("F4", [4], (8, 10)), "x": tensor("BF16", [1], (10, 12))}
    assert read_header(raw(tmp_path / "a.safetensors", scalar, 12))["n"] == Header("I64", ())
    large = {"w": tensor(shape=(2**20, 2**10), offsets=(0, 2**32))}
    path = raw(tmp_path / "large.safetensors", large)
    os.truncate(path, path.stat().st_size + 2**32)  # no byte of it is read
    assert read_header(str(path))["w"].shape == (2**20, 2**10)


def test_paths(tmp_path: Path) -> None:
    for path, said in (
        (tmp_path, "is a directory: name the .safetensors or .safetensors.index.json file in it"),
        (tmp_path / "none.safetensors", "no such file or directory"),
        (Path("a\0b.safetensors"), "cannot read a\\x00b.safetensors"),
    ):
        with pytest.raises(UsageError) as caught:
            read_header(path)
        assert said in str(caught.value)
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(UsageError, match="is no plain file"):
        read_header(tmp_path / "pipe.safetensors")


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.BIN", "last.ckpt", "m.npz", "m.h5", "it's.pt"])
def test_other_formats_are_named_and_how_to_convert_them(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_header(tmp_path / name)
    message = str(caught.value)
    assert "only safetensors can be read without running code; convert it with import " in message
    line = message.partition("convert it with ")[2]
    if not name.endswith("h5"):
        compile(line, "line", "exec")
        assert repr(name) in line
        assert repr(str(Path(name).with_suffix(".safetensors"))) in line


# -------------------------------------------------------------- several files


def sharded(where: Path, tensors: Mapping[str, Tensor], **changes: str) -> Path:
    """Two files and their index."""
    names = list(tensors)
    parts = {"one.safetensors": names[:5], "two.safetensors": names[5:]}
    for file, part in parts.items():
        written(where / file, {name: tensors[name] for name in part})
    places = {name: file for file, part in parts.items() for name in part} | changes
    path = where / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return path


def test_several_files(tmp_path: Path) -> None:
    tensors = cnnplan.build(PLAN).state_dict()
    found = read_header(sharded(tmp_path, tensors))
    assert found == header(tensors)
    assert compare(PLAN, found).fits


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("../one.safetensors", "which is no .safetensors file beside it"),
        ("/etc/passwd", "which is no .safetensors file beside it"),
        ("sub/one.safetensors", "which is no .safetensors file beside it"),
        ("one.pt", "which is no .safetensors file beside it"),
        (".safetensors", "which is no .safetensors file beside it"),
        ("three.safetensors", "three.safetensors: no such file"),
        ("one.safetensors", "says that 'linear1.bias' is in one.safetensors, but it is in two.safetensors"),
    ],
)
def test_an_index_that_is_not_right(tmp_path: Path, place: str, said: str) -> None:
    path = sharded(tmp_path, cnnplan.build(PLAN).state_dict(), **{"linear1.bias": place})
    with pytest.raises(UsageError) as caught:
        read_header(path)
    assert said in str(caught.value)


def test_more_indexes_that_are_not_right(tmp_path: Path) -> None:
    path = sharded(tmp_path, cnnplan.build(PLAN).state_dict(), absent="one.safetensors")
    with pytest.raises(UsageError, match=r"'absent' is in one.safetensors, which has no such tensor"):
        read_header(path)
    written(tmp_path / "two.safetensors", {"unit1.conv1.weight": torch.zeros(1)})
    with pytest.raises(UsageError, match=r"'unit1.conv1.weight' is in one.safetensors and in two.safetensors"):
        read_header(path)
    for text in ("{}", '{"weight_map": {}}', '{"weight_map": {"a": 1}}', '{"weight_map": []}'):
        path.write_text(text)
        with pytest.raises(UsageError, match="has no `weight_map`"):
            read_header(path)
    path.write_text("nonsense")
    with pytest.raises(UsageError, match="is no JSON"):
        read_header(path)
    path.unlink()
    with pytest.raises(UsageError, match="no such file"):
        read_header(path)


def complaint(path: Path) -> str:
    """What is said of a file; nothing where it is right, and no other exception than this one."""
    try:
        read_header(path)
    except UsageError as error:
        return str(error)
    return ""


@given(st.binary(max_size=200), st.booleans())
def test_whatever_the_bytes_there_is_one_message(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, sized: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.safetensors"
    path.write_bytes(struct.pack("<Q", len(data)) + data if sized else data)
    assert "\n" not in complaint(path)


junk: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["F32", "I64"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets", "a"]), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=4) | st.just("__metadata__"), junk, max_size=4))
def test_whatever_the_json_there_is_one_message(tmp_path_factory: pytest.TempPathFactory, said: dict[str, Any]) -> None:
    path = raw(tmp_path_factory.getbasetemp() / "junk.safetensors", json.dumps(said), 8)
    assert "\n" not in complaint(path)
