"""The linter: rules over a plan, one file each."""
