"""Contracts for exported files from elsewhere."""
