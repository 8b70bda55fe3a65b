"""The version, also for pyproject.toml's build, and where the project lives."""

__version__ = "0.1.0"

HOME = "https://github.com/cnnplan/cnnplan"
RULES_URL = f"{HOME}/blob/main/docs/rules"
