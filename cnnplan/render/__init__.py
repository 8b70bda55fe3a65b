"""What people and programs read: one output format a file."""
