"""The exercises of notebook 01, loss landscapes: one module for each that is written in code."""
