"""The version of the library, and so of the course."""

__version__ = "0.2.0.dev0"
