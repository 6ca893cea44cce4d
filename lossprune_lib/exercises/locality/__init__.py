"""The exercises of notebook 03, locality: one module for each that is written in code."""
