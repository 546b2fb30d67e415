"""From a file to a proven file."""
