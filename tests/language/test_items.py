"""Items of a list of layers, their arguments, and the errors that name the nearest right word."""

import pytest

from tests.language.helpers import blames, blocked, complaint, last, listed, names, net, plan, refused, shapes

CONV = "conv: {out_channels: 4, kernel_size: 3, padding: 1}"


def test_an_item_is_a_name_or_a_mapping() -> None:
    assert names(net("- relu\n- relu:\n- relu: {}\n- relu: ~\n- {relu: }\n- {relu: {}}\n- ? relu")) == [
        f"relu{i}" for i in range(1, 8)
    ]


@pytest.mark.parametrize(
    "item", ["linear: 5", "linear: {out_features: 5}", "linear: =5", "{linear: 5}", "{linear: {out_features: 5}}"]
)
def test_a_scalar_is_the_first_argument(item: str) -> None:
    assert last(net(f"- flatten\n- {item}")) == (5,)


def test_a_list_is_the_first_argument() -> None:
    assert last(net("- maxpool: [2, 4]")) == (3, 4, 2)
    assert last(net("- reshape: [2, 96]")) == (2, 96)
    assert last(net("- permute: [0, 2, 1]", head="cnnplan: 1\nname: n\ninput: [3, 8, 9]\n")) == (3, 9, 8)
    (layer,) = plan(net("- split: [1, 2]")).layers
    assert [tuple(x) for x in layer.outputs] == [(1, 8, 8), (2, 8, 8)]


def test_dimensions_follow_the_rank_of_the_input() -> None:
    for size in ("[3, 8]", "[3, 8, 8]", "[3, 8, 8, 8]"):
        spec = net(f"- {CONV}\n- maxpool: 2\n- batchnorm", head=f"cnnplan: 1\nname: n\ninput: {size}\n")
        assert set(last(spec)[1:]) == {4}
    blames(net("- «conv: {out_channels: 4, kernel_size: 1}", head="cnnplan: 1\nname: n\ninput: [3]\n"), "S012")


MALFORMED = """
- «3   - «true   - «~   - «1.5   - «=relu   - «[relu]   - «[]   - «{}   - {«if: true}   - {«name: a}
- {«from: input}   - {relu: , «tanh: }   - {relu: , «conv: 3}   - {layers: [relu], «relu: }   - {relu: , «share: x}
- «''   - «repeat   - «layers   - «share   - {«repeat: 2}   - {share: «[a]}   - {share: «3}   - {share: «~}
- {layers: «relu}   - {layers: «3}   - {«layers: []}   - {«layers: }   - {layers: «{relu: }}   - {«3: 4}   - {«~: 4}
- {«'': 4}   - {relu: , «3: 4}
"""


@pytest.mark.parametrize(
    "layers",
    listed(MALFORMED),
)
def test_malformed_items_are_one_error(layers: str) -> None:
    blames(net(layers))


@pytest.mark.parametrize(
    ("layers", "nearest"),
    [
        ("- «Relu", "'relu'"),
        ("- «rleu", "relu"),
        ("- «maxpol: 2", "maxpool"),
        ("- «max_pool: 2", "maxpool"),
        ("- conv: {«out_channel: 4, kernel_size: 3}", "out_channels"),
        ("- conv: {out_channels: 4, «kernelsize: 3}", "kernel_size"),
        ("- maxpool: {kernel_size: 2, «strides: 1}", "stride"),
        ("- {relu: , «form: input}", "from"),
        ("- {relu: , «repeats: 2}", "repeat"),
        ("- {relu: , «Name: a}", "name"),
        ("- relu:\n  name: alpha\n- tanh\n- relu:\n  from: «alhpa", "alpha"),
        (
            "- conv: {out_channels: =«in_chanels, kernel_size: 3}",
            "in_channels",
        ),
        ("- conv: {out_channels: «=mx(1), kernel_size: 3}".replace("«=", "=«"), "max"),
    ],
)
def test_the_nearest_right_name_is_told(layers: str, nearest: str) -> None:
    assert nearest in complaint(net(layers))


def test_the_nearest_block_and_param_are_told() -> None:
    blocks = "stage: {params: {width: int}, layers: [relu]}"
    assert "'stage'" in complaint(blocked(blocks, "- «stge: 3"), "Y913")
    assert "'width'" in complaint(blocked(blocks, "- stage: {«widht: 3}"), "Y901")


@pytest.mark.parametrize("word", ["con", "linaer", "con2", "batchnrm2d"])
def test_an_unknown_operation_is_one_error(word: str) -> None:
    blames(net(f"- flatten\n- «{word if word != 'batchnrm2d' else 'depthwise_con'}"), "Y913")


def test_modifiers_below_the_word_and_arguments_beside_it() -> None:
    assert "beside" in complaint(net("- maxpool: {kernel_size: 2, «repeat: 2}"), "Y901")
    assert "below" in complaint(net("- maxpool: {kernel_size: 2}\n  «stride: 2"), "Y901")
    assert "beside" in complaint(net("- add: {a: [], b: [], «name: x}"), "Y901")


ARGUMENTS = """
conv: {out_channels: «true, kernel_size: 3}   conv: {out_channels: «'4', kernel_size: 3}
conv: {out_channels: «0, kernel_size: 3}   conv: {out_channels: «-4, kernel_size: 3}
conv: {out_channels: «4.0, kernel_size: 3}   conv: {out_channels: «~, kernel_size: 3}
conv: {out_channels: «[4], kernel_size: 3}   conv: {out_channels: «{a: 1}, kernel_size: 3}
conv: {out_channels: «four, kernel_size: 3}   conv: {out_channels: 4, kernel_size: «0}
conv: {out_channels: 4, kernel_size: «[3, 0]}   conv: {out_channels: 4, kernel_size: «[]}
conv: {out_channels: 4, «kernel_size: [3]}   conv: {out_channels: 4, «kernel_size: [3, 3, 3]}
conv: {out_channels: 4, kernel_size: «1.5}   conv: {out_channels: 4, kernel_size: 3, stride: «0}
conv: {out_channels: 4, kernel_size: 3, padding: «-1}   dropout: «2   dropout: «-0.5
conv: {out_channels: 4, kernel_size: 3, padding: «full}   conv: {out_channels: 4, kernel_size: 3, bias: «1}
dropout: «'0.5'   dropout: «true   conv: {out_channels: 4, kernel_size: 3, bias: «'true'}
conv: {out_channels: 4, kernel_size: 3, padding_mode: «zero}   maxpool: «[2, 2, 2]
conv: {out_channels: 4, kernel_size: 3, dilation: «0}   conv: {out_channels: 4, kernel_size: 3, groups: «0}
upsample: {scale_factor: 2, mode: «cubic}   «conv: {kernel_size: 3}   «conv: 4   relu: «3   relu: {«inplace: true}
flatten: «[1]   «linear   «maxpool
"""


@pytest.mark.parametrize("item", listed(ARGUMENTS))
def test_wrong_arguments(item: str) -> None:
    blames(net(f"- {item}"))


def test_a_missing_argument_is_named() -> None:
    assert "kernel_size" in complaint(net("- «conv: 4"), "Y912")
    found = refused(net("- conv"))
    assert [d.code for d in found] == ["Y912", "Y912"]


UNUSED = """
crop: {size: 4, like: input}   upsample: {scale_factor: 2, size: 4}
upsample: {scale_factor: 2, align_corners: true}   upsample: {size: 4, like: input}
pad: {padding: 1, mode: reflect, value: 2}   crop   upsample
avgpool: {kernel_size: 2, padding: same, ceil_mode: true}
"""


@pytest.mark.parametrize("item", listed(UNUSED))
def test_arguments_that_exclude_each_other(item: str) -> None:
    refused(net(f"- {item}"))


@pytest.mark.parametrize(
    ("value", "size"),
    [("3", (6, 6)), ("[3, 2]", (6, 7)), ("[2, 3]", (7, 6)), ("=3", (6, 6)), ("[=3, 2]", (6, 7)), ('"=[3, 2]"', (6, 7))],
)
def test_spatial_arguments(value: str, size: tuple[int, ...]) -> None:
    assert last(net(f"- conv: {{out_channels: 1, kernel_size: {value}}}"))[1:] == size


def test_a_group_for_its_modifiers() -> None:
    assert names(net("- layers: [relu, tanh]\n  repeat: 2")) == ["relu1", "tanh1", "relu2", "tanh2"]
    assert names(net("- relu\n- layers: [tanh]\n  if: false")) == ["relu1"]
    assert names(net("- layers: [relu, tanh]\n  name: g")) == ["g.relu1", "g.tanh1"]


def test_what_can_be_inferred_is_never_written() -> None:
    blames(net("- conv: {«in_channels: 3, out_channels: 4, kernel_size: 3}"), "Y901")
    assert shapes(net("- conv: {out_channels: 5, kernel_size: 8}\n- flatten\n- linear: 2")) == [(5, 1, 1), (5,), (2,)]


def test_errors_of_shapes_say_where_the_input_comes_from() -> None:
    (found,) = blames(net("- maxpool: 4\n- conv: {out_channels: 1, kernel_size: «5}"), "S001")
    assert "2" in found.message
    assert [r.start and r.start.line for r in found.related] == [5]
    (found,) = blames(net("- relu\n- «linear: 4"), "S003")
    assert "192" in found.message + found.help


def test_all_independent_errors_in_one_run() -> None:
    blames(
        """\
cnnplan: 1
name: «my net
«inptu: 3
input: [3, 8, 8]
variables: {w: 4, «index: 3, z: =w «+}
blocks:
  b: {params: {n: int}, layers: [«rleu, conv: {out_channels: =n, kernel_size: 3}]}
  c: {«layer: [relu], layers: [tanh]}
layers:
  - conv: {out_channels: «0, kernel_size: 3}
  - maxpool: {kernel_size: 2, «kernel: 3}
  - relu:
    from: «nowhere
  - relu:
    «colour: red
  - b: {n: «x}
  - conv: {out_channels: =«unknown, kernel_size: 1}
  - dropout: «7
  - relu:
    repeat: «-1
  - relu:
    if: «3
outputs: [«nothing]
"""
    )


@pytest.mark.parametrize("layers", ["- relu", "- b: {n: «x}"])
def test_constant_arguments_are_checked_whatever_the_others_are(layers: str) -> None:
    blames(blocked("b: {params: {n: int}, layers: [conv: {out_channels: =n, kernel_size: «true}]}", layers), "Y911")


def test_a_size_is_given_once() -> None:
    assert "not none" in complaint(net("- «upsample"), "Y912")
    assert "scale_factor and size" in complaint(net("- upsample: {scale_factor: 2, size: «4}"), "Y911")
    assert "size and like" in complaint(net("- crop: {size: 4, like: «input}"), "Y911")
