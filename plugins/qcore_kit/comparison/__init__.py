"""What takes part in comparing two models."""
