"""The exercises of notebook 05, At scale, and your own network."""
