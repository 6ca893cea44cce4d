"""Networks: the models, which of their weights are prunable (`WeightSpace`) and which are kept (`Mask`)."""
