"""What a command line with these dependencies costs before it does anything."""

import pydantic
import rich.console
import rich.table
import typer
import yaml  # noqa: TID251 - an import is what is measured


class Model(pydantic.BaseModel):
    """One model, validated once."""

    size: int


Model.model_validate({"size": 1})
assert all((rich.console, rich.table, typer, yaml))
