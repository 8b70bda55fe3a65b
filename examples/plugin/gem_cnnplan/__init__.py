"""Generalized-mean pooling: an operation and a rule for cnnplan."""
