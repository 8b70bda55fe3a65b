"""`python -m cnnplan`."""

from cnnplan.cli import main

main()
