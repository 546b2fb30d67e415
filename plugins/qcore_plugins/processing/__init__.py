"""What happens to inputs before a model, and to outputs after it."""
