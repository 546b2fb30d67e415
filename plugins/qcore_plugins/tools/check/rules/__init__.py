"""Rules for every runtime; those of one runtime lie in its own folder."""
