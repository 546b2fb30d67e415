"""Commands that look at what the route made."""
