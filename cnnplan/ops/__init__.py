"""The operations: one file each, or one for a family that is a table."""
