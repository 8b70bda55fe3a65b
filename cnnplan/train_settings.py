"""The key `train` of a spec: how the network is trained. Only its form is checked here."""

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, PlainValidator, TypeAdapter, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from cnnplan.diagnostics import suggest
from cnnplan.ops.fields import (
    Flag,
    Natural,
    NotNegative,
    PaddingMode,
    Positive,
    Probability,
    Setting,
    Size,
    number,
    refuse,
)

Degrees: TypeAlias = Annotated[
    float,
    PlainValidator(number(0, 180, "an angle from 0 to 180 degrees")),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 180}),
]
Hue: TypeAlias = Annotated[
    float,
    PlainValidator(number(0, 0.5, "a number from 0 to 0.5")),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 0.5}),
]


def _between(most: float | None, wanted: str) -> Callable[[object], tuple[float, float]]:
    """A validator of two numbers above 0, the smaller first."""
    check = number(0, most, wanted, open_=True)

    def pair(value: object) -> tuple[float, float]:
        if isinstance(value, list | tuple) and len(value) == 2:
            with suppress(PydanticCustomError):
                low, high = map(check, value)
                if low <= high:
                    return low, high
        raise refuse(wanted, value)

    return pair


def _range_of(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 2, "maxItems": 2}


Share: TypeAlias = Annotated[
    tuple[float, float],
    PlainValidator(_between(1, "a range [smallest, largest] of shares above 0, of the area,")),
    WithJsonSchema(_range_of({"type": "number", "exclusiveMinimum": 0, "maximum": 1})),
]
Ratio: TypeAlias = Annotated[
    tuple[float, float],
    PlainValidator(_between(None, "a range [smallest, largest] of ratios above 0")),
    WithJsonSchema(_range_of({"type": "number", "exclusiveMinimum": 0})),
]


class Sgd(Setting):
    """Stochastic gradient descent. Source: torch.optim.SGD."""

    lr: Positive = Field(0.1, description="learning rate")
    momentum: Probability = Field(0.0, description="momentum")
    weight_decay: NotNegative = Field(0.0, description="L2")
    nesterov: Flag = Field(False, description="Nesterov's momentum")
    decay_norms: Flag = Field(False, description="whether biases and norms decay, too")


class Adam(Setting):
    """Adam and AdamW. Source: torch.optim.Adam, torch.optim.AdamW."""

    lr: Positive = Field(1e-3, description="learning rate")
    betas: tuple[Probability, Probability] = Field((0.9, 0.999), description="decay of the two averages")
    eps: Positive = Field(1e-8, description="added to the denominator")
    weight_decay: NotNegative = Field(0.0, description="decay")
    decay_norms: Flag = Field(False, description="whether biases and norms decay, too")


class Rmsprop(Setting):
    """RMSprop. Source: torch.optim.RMSprop."""

    lr: Positive = Field(1e-2, description="learning rate")
    alpha: Probability = Field(0.99, description="decay of the average")
    eps: Positive = Field(1e-8, description="added to the denominator")
    momentum: Probability = Field(0.0, description="momentum")
    weight_decay: NotNegative = Field(0.0, description="L2")
    decay_norms: Flag = Field(False, description="whether biases and norms decay, too")


class Step(Setting):
    """The learning rate falls by `gamma` every `every` epochs."""

    every: Size = Field(30, description="epochs")
    gamma: Probability = Field(0.1, description="factor")
    warmup: Natural = Field(0, description="epochs of linear warm-up")


class Cosine(Setting):
    """The learning rate falls along a cosine. Source: Loshchilov & Hutter 2016, arXiv:1608.03983."""

    warmup: Natural = Field(0, description="epochs of linear warm-up")
    minimum: NotNegative = Field(0.0, description="last rate")


class OneCycle(Setting):
    """One cycle up and down. Source: Smith & Topin 2017, arXiv:1708.07120."""

    max_lr: Positive | None = Field(None, description="the highest rate; the optimizer's by default")
    warmup: Probability = Field(0.3, description="share of the epochs on the way up")


class Constant(Setting):
    """The learning rate stays."""

    warmup: Natural = Field(0, description="epochs of linear warm-up")


class LossOptions(Setting):
    """How much a loss counts, and its softening."""

    weight: Positive = Field(1.0, description="weight in the sum of losses")
    label_smoothing: Probability = Field(0.0, description="for cross_entropy")


def _as_choice(schema: dict[str, Any]) -> None:
    """The JSON Schema of a choice: a name, or a mapping of one name to its options."""
    names = list(schema["properties"])
    pattern = f"^({'|'.join(names)})$"
    schema |= {"type": ["string", "object"], "pattern": pattern, "examples": names}
    schema |= {"minProperties": 1, "maxProperties": 1}


class Choice(Setting):
    """One of several kinds: a name, or a name with its options."""

    model_config = ConfigDict(json_schema_extra=_as_choice)

    @model_validator(mode="before")
    @classmethod
    def _spelled(cls, value: object) -> object:
        kinds = [field.alias or name for name, field in cls.model_fields.items()]
        if isinstance(value, str):
            if value in kinds:
                return {value: {}}
            help = suggest(value, kinds)
            raise PydanticCustomError("value", f"there is no '{value:.40}'; {help}")
        if isinstance(value, dict) and len(value) == 1:
            return {name: {} if options is None else options for name, options in value.items()}
        if isinstance(value, Choice):
            return value
        raise refuse(f"one of {', '.join(kinds)}, or one with its options,", value)

    @property
    def name(self) -> str:
        """The kind that is chosen."""
        return next(iter(self.model_fields_set))

    @property
    def options(self) -> Any:
        """Its options."""
        return getattr(self, self.name)


class Loss(Choice):
    """A loss. Classification losses take logits."""

    cross_entropy: LossOptions | None = Field(None, description="K exclusive classes, from logits")
    binary_cross_entropy: LossOptions | None = Field(None, description="K independent classes, from logits")
    nll: LossOptions | None = Field(None, description="K exclusive classes, from log-probabilities")
    mse: LossOptions | None = Field(None, description="mean squared error")
    l1: LossOptions | None = Field(None, description="mean absolute error")


class Optimizer(Choice):
    """An optimizer."""

    sgd: Sgd | None = Field(None, description="stochastic gradient descent")
    adam: Adam | None = Field(None, description="Adam")
    adamw: Adam | None = Field(None, description="Adam with decoupled weight decay")
    rmsprop: Rmsprop | None = Field(None, description="RMSprop")


class Schedule(Choice):
    """How the learning rate changes."""

    cosine: Cosine | None = Field(None, description="along a cosine")
    step: Step | None = Field(None, description="in steps")
    one_cycle: OneCycle | None = Field(None, description="up and down once")
    constant: Constant | None = Field(None, description="not at all")


def _as_short(schema: dict[str, Any]) -> None:
    """The JSON Schema of options of which the first may be given bare."""
    first = next(iter(schema["properties"].values()))
    limits = {key: first[key] for key in ("minimum", "maximum") if key in first}
    schema |= {**limits, "type": [first["type"], "object"]}


class Short(Setting):
    """Options; a value that is no mapping is the first of them."""

    model_config = ConfigDict(json_schema_extra=_as_short)

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: object) -> object:
        return value if isinstance(value, dict | cls) else {next(iter(cls.model_fields)): value}


class RandomCrop(Short):
    """A window of the image's own size, anywhere in the padded image."""

    padding: Natural = Field(4, description="pixels added at each side before the crop")
    padding_mode: PaddingMode = Field("zeros", description="what is added: zeros, reflect, replicate or circular")


class RandomResizedCrop(Setting):
    """A window of another size, scaled to the image's own. Source: Szegedy et al. 2014, arXiv:1409.4842."""

    scale: Share = Field((0.08, 1.0), description="the window's share of the area: smallest and largest")
    ratio: Ratio = Field((0.75, 4 / 3), description="the window's width, divided by its height")


class Flip(Short):
    """Mirrored, or not."""

    p: Probability = Field(0.5, description="probability")


class Rotation(Short):
    """Turned around its middle; what comes in from outside is 0."""

    degrees: Degrees = Field(15, description="the largest angle, to either side")


class ColorJitter(Setting):
    """Factors drawn from 1 - x to 1 + x, not below 0, as torchvision's."""

    brightness: NotNegative = Field(0.2, description="of all values")
    contrast: NotNegative = Field(0.2, description="of what differs from the image's mean")
    saturation: NotNegative = Field(0.2, description="of what differs from gray; of 3 channels")
    hue: Hue = Field(0.0, description="the largest shift, to either side, in turns of the color circle; of 3 channels")


class RandomErasing(Setting):
    """A rectangle is 0. Source: Zhong et al. 2017, arXiv:1708.04896."""

    p: Probability = Field(0.5, description="probability")
    scale: Share = Field((0.02, 0.33), description="the rectangle's share of the area: smallest and largest")
    ratio: Ratio = Field((0.3, 3.3), description="the rectangle's height, divided by its width")


class Mixup(Short):
    """Pairs of samples, and of their losses, are mixed. Source: Zhang et al. 2017, arXiv:1710.09412."""

    alpha: NotNegative = Field(0.2, description="the shares are of Beta(alpha, alpha); 0 mixes nothing")


class Augmentation(Choice):
    """A random change of each sample."""

    random_crop: RandomCrop | None = Field(None, description="padded, and cropped to its size again")
    random_resized_crop: RandomResizedCrop | None = Field(None, description="a part, scaled to the image's size")
    horizontal_flip: Flip | None = Field(None, description="the last axis mirrored")
    vertical_flip: Flip | None = Field(None, description="the axis before the last mirrored")
    rotation: Rotation | None = Field(None, description="turned by at most so many degrees")
    color_jitter: ColorJitter | None = Field(None, description="brightness, contrast, saturation, hue")
    random_erasing: RandomErasing | None = Field(None, description="a rectangle is blanked")
    mixup: Mixup | None = Field(None, description="mixed with another sample of the batch")


_LOSSES = TypeAdapter(dict[str, Loss])


def _losses(value: object) -> Loss | dict[str, Loss]:
    """A loss, or one for each output."""
    if isinstance(value, dict) and value and not (len(value) == 1 and next(iter(value)) in Loss.model_fields):
        return _LOSSES.validate_python(value)
    return Loss.model_validate(value)


class Regularize(Setting):
    """Penalties and bounds on the weights of convolutions, dense and recurrent layers, not on biases and norms."""

    l1: NotNegative = Field(0.0, description="weight of the L1 norm of the weights")
    l2: NotNegative = Field(0.0, description="weight of their squared L2 norm; with l1, the elastic net")
    max_norm: Positive | None = Field(None, description="largest norm of the weights into one unit")


class EarlyStopping(Setting):
    """Stops when nothing improves any more."""

    patience: Size = Field(5, description="epochs without improvement")


class Train(Setting):
    """How the network is trained."""

    loss: Annotated[Any, PlainValidator(_losses), WithJsonSchema({"type": ["string", "object"]})] = Field(
        Loss.model_validate("cross_entropy"), description="a loss, or one for each output"
    )
    optimizer: Optimizer = Field(Optimizer.model_validate("sgd"), description="sgd, adam, adamw or rmsprop")
    schedule: Schedule = Field(Schedule.model_validate("constant"), description="of the learning rate")
    epochs: Size = Field(10, description="epochs")
    batch: Size = Field(32, description="batch size")
    precision: Literal["float32", "bfloat16", "float16"] = Field("float32", description="float32, or mixed precision")
    regularize: Regularize = Field(Regularize(), description="l1, l2, max_norm")
    clip_gradient: Positive | None = Field(None, description="largest norm of the gradient")
    ema: Probability | None = Field(None, description="decay of an average of the weights")
    augment: list[Augmentation] = Field([], description="augmentations in order")
    early_stopping: EarlyStopping | None = Field(None, description="patience")
