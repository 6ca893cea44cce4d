"""The exercises of notebook 02, Taylor approximations: one module for each that is written in code."""
