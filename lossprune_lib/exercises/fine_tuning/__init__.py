"""The checks of the exercises in notebook 04, fine-tuning."""

from lossprune_lib.exercises.fine_tuning import fair_choice, masked_step, quiz, rank_correlation, seed_interval

__all__ = ["fair_choice", "masked_step", "quiz", "rank_correlation", "seed_interval"]
