"""Prediction: from files and trained weights to answers. `predict` is where it begins."""
