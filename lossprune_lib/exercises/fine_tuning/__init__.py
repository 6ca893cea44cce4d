"""The exercises of notebook 04, fine-tuning: one module for each that is written in code."""
