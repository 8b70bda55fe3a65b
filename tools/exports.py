"""Exports of the networks of the zoo, each loaded again, run, and compared with its model.

    python -m tools.exports                      both formats, at the small sizes of the tests
    python -m tools.exports --format onnx convnext googlenet

Prints the largest difference of each, of the largest number of an output; exits with 1 where a file is refused.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from cnnplan import zoo
from cnnplan.errors import UsageError
from cnnplan.runtime.exporting import export
from cnnplan.runtime.exporting.formats import FORMATS
from tests.test_zoo import small


def main() -> None:
    """A row for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="networks; all, without any")
    parser.add_argument("--format", choices=[*FORMATS], help="one format alone")
    given = parser.parse_args()
    torch.set_num_threads(1)
    refused = 0
    with TemporaryDirectory() as folder:
        for format in [given.format] if given.format else FORMATS:
            for name in given.names or zoo.names():
                path = Path(folder) / f"model{FORMATS[format].suffix}"
                try:
                    found = export(small(name), format, path)
                    said = " ".join([f"{found.difference:.1g}", *found.notes[2:]])
                except UsageError as error:
                    refused += 1
                    said = f"refused: {error}"
                print(f"{format:<8}{name:<28}{said}", flush=True)
    sys.exit(refused > 0)


if __name__ == "__main__":
    main()
