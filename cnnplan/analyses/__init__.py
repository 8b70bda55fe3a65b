"""The analyses: one question a file, each a fold over the graph that names no operation."""
