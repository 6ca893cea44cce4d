"""The exercises of notebook 06, From here to language models."""
