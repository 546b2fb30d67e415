"""Which layers to leave float: rankings and accuracy budgets."""
