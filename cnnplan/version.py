"""The version, also for pyproject.toml's build."""

__version__ = "0.1.0"
