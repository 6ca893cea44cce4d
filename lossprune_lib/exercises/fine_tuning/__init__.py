"""The exercises of notebook 04, fine-tuning."""

from lossprune_lib.exercises.fine_tuning import fair_choice, masked_step, rank_correlation, seed_interval

__all__ = ["fair_choice", "masked_step", "rank_correlation", "seed_interval"]
