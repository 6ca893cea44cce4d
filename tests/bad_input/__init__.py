"""Bad input and bad luck: what a learner or a researcher can do wrong, and the answer; run by test_bad_input.py."""
