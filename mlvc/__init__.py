"""mlvc: version data and models next to the code that made them, with Git."""

__version__ = "0.1.0"
