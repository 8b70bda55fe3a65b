"""The few torch modules that torch.nn lacks.

One class or function a file, named after it in snake case. The emitter copies its text, from the
first line behind the imports, into the source it writes: it stands alone there.
"""
