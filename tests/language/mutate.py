"""Mutations of a spec's text: what a slip of the keyboard, or malice, makes of it."""

import random
import re

TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+(?:\.[0-9]+)?|\n|[ \t]+|[^\w\s]|.", re.DOTALL)

VALUES = [
    "0",
    "-1",
    "1",
    "2",
    "3",
    "true",
    "false",
    "null",
    "~",
    "'x'",
    '""',
    "1.5",
    "1e-6",
    ".5",
    "=1",
    "=index",
    "99999999999",
    "9223372036854775807",
    "99999999999999999999",
    "1e400",
    ".inf",
    "[]",
    "{}",
    "[1, 2]",
    "{a: 1}",
    "=in_channels",
    '"=in_size[0]"',
    "=1/0",
    "=x",
    "[[1, 2], [0, 1]]",
    "half",
    "same",
    "int",
    "list",
    "é",
    "=in_size",
    "=in_channels // 2",
    "='x'",
    "=true",
    "[=in_channels, 2]",
    "2.0",
    "1000",
    "=2 ** 62",
    "=not 1",
]
WORDS = [
    "conv",
    "relu",
    "linear",
    "maxpool",
    "avgpool",
    "add",
    "concat",
    "layers",
    "share",
    "from",
    "name",
    "if",
    "repeat",
    "trainable",
    "checkpoint",
    "each",
    "input",
    "inputs",
    "previous",
    "outputs",
    "blocks",
    "params",
    "variables",
    "flatten",
    "split",
    "upsample",
    "crop",
    "pad",
    "reshape",
    "permute",
    "slice",
    "global_avgpool",
    "stage",
    "unit",
    "batchnorm",
    "groupnorm",
    "layernorm",
    "conv_transpose",
    "depthwise_conv",
    "squeeze_excite",
    "bottleneck",
    "out_channels",
    "kernel_size",
    "stride",
    "padding",
    "dilation",
    "groups",
    "bias",
    "axis",
    "size",
    "like",
    "lint",
    "budget",
    "target",
    "train",
    "description",
    "reference",
    "cnnplan",
    "head",
    "enc1",
    "half",
    "tower",
    "class",
    "self",
    "torch",
    "forward",
    "l",
    "softmax",
    "channel_shuffle",
    "pixel_shuffle",
    "embedding",
    "identity",
]
MARKS = [*":,-=[]{}()'\"#&*!|>%@`\\?<.+/~;^$", "- ", ": ", "\n", "  ", "\t", "---\n", "**", "//", "==", "\r\n"]
STRANGE = ["\x00", "\x1b", "\x7f", "\x85", "\u2028", "\ufeff", "\u202e", "é", "日本", "😀", "\ud800", "\xa0", "\r"]


def mutated(text: str, random: random.Random, times: int = 1) -> str:
    """The text after some random changes."""
    for _ in range(times):
        text = random.choice(CHANGES)(text, random)
    return text


def _token(text: str, random: random.Random) -> str:
    tokens = TOKEN.findall(text) or [""]
    solid = [i for i, t in enumerate(tokens) if not t.isspace()] or [0]
    at = random.choice(solid)
    match random.randrange(6):
        case 0:
            tokens[at] = ""
        case 1:
            tokens[at] *= 2
        case 2:
            other = random.choice(solid)
            tokens[at], tokens[other] = tokens[other], tokens[at]
        case 3:
            tokens[at] = tokens[random.choice(solid)]
        case 4:
            tokens[at] = random.choice(random.choice([VALUES, WORDS, MARKS]))
        case 5:
            tokens.insert(at, random.choice(random.choice([VALUES, WORDS, MARKS, STRANGE])))
    return "".join(tokens)


def _value(text: str, random: random.Random) -> str:
    """Another value behind a colon, a dash or a comma: the text stays YAML most of the time."""
    places = list(re.finditer(r"(?<=[:,\[] )[^\s,{}\[\]]+|(?<=- )[^\s:]+", text))
    if not places:
        return text
    place = random.choice(places)
    word = place.group()
    pool = WORDS if re.fullmatch("[a-z_]+", word) and random.random() < 0.6 else VALUES
    return text[: place.start()] + random.choice(pool) + text[place.end() :]


def _number(text: str, random: random.Random) -> str:
    places = list(re.finditer(r"[0-9]+(?:\.[0-9]+)?", text))
    if not places:
        return text
    place = random.choice(places)
    value = random.choice([*VALUES, *map(str, range(12))])
    return text[: place.start()] + value + text[place.end() :]


def _key(text: str, random: random.Random) -> str:
    places = list(re.finditer(r"[A-Za-z_]+(?=:)", text))
    if not places:
        return text
    place = random.choice(places)
    others = [p.group() for p in places]
    return text[: place.start()] + random.choice([*WORDS, *others]) + text[place.end() :]


def _line(text: str, random: random.Random) -> str:
    lines = text.split("\n")
    at = random.randrange(len(lines))
    match random.randrange(5):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[at])
        case 2:
            other = random.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = " " * random.randrange(1, 5) + lines[at]
        case 4:
            lines[at] = lines[at][random.randrange(1, 5) :]
    return "\n".join(lines)


def _modifier(text: str, random: random.Random) -> str:
    """A modifier added to an item that stands on a line of its own."""
    items = list(re.finditer(r"(?m)^( *)- ([a-z_]+)(:.*)?$", text))
    if not items:
        return text
    item = random.choice(items)
    indent, word, rest = item.group(1), item.group(2), item.group(3) or ":"
    modifier = random.choice(
        [
            "repeat: 2",
            "repeat: {k: 3}",
            "if: false",
            "if: =in_channels > 4",
            "name: spot",
            "from: input",
            "from: previous",
            "trainable: false",
            "checkpoint: true",
            "from: spot",
            "repeat: 0",
            "from: [input, previous]",
            "name: enc1",
        ]
    )
    changed = f"{indent}- {word}{rest}\n{indent}  {modifier}"
    return text[: item.start()] + changed + text[item.end() :]


def _item(text: str, random: random.Random) -> str:
    """A further item, in front of one that is there."""
    items = list(re.finditer(r"(?m)^( *)- ", text))
    if not items:
        return text
    item = random.choice(items)
    indent = item.group(1)
    new = random.choice(ITEMS).replace("\n", "\n" + indent)
    return f"{text[: item.start()]}{indent}{new}\n{text[item.start() :]}"


ITEMS = [
    "- relu",
    "- add: [[], [relu]]",
    "- concat: [[tanh], []]",
    "- split: 2",
    "- split: 2\n  name: spot",
    "- batchnorm",
    "- conv: {out_channels: 4, kernel_size: 3, padding: same}",
    "- conv: {out_channels: =in_channels, kernel_size: 1}\n  name: spot",
    "- share: spot",
    "- flatten",
    "- maxpool: 2",
    "- layers: [relu, tanh]\n  repeat: 2",
    "- layers:\n    - relu:\n      name: inner\n  name: spot\n  repeat: 2",
    "- add:\n    a: []\n    b:\n      layers: [sigmoid]\n      if: =in_channels > 3",
    "- add:\n  from: [spot, previous]",
    "- crop: {like: previous}",
    "- upsample: 2",
    "- global_avgpool: {keepdim: true}",
    "- pad: {padding: 1, mode: replicate}",
    "- prelu",
    "- dropout: 0.1\n  if: false",
    "- bottleneck: {width: 2}",
    "- layer_scale: 0.1",
    "- groupnorm: 2",
    "- lrn: 3",
    "- conv_transpose: {out_channels: 2, kernel_size: 2, stride: 2}",
]
CHANGES = [_token, _value, _number, _key, _line, _modifier, _item]
