"""What a command line with these dependencies costs before it does anything."""

import pydantic
import rich.console
import rich.table
import typer
import yaml


class Model(pydantic.BaseModel):
    """One model, validated once."""

    size: int


Model.model_validate({"size": 1})
assert rich.console and rich.table and typer and yaml
