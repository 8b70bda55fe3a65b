"""Training: from data and a recipe to weights, tables and pictures. `session` is where it begins."""
