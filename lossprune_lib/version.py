"""The version of the library, and so of the course."""

__version__ = "0.1.0"
