"""Pictures and videos: which there are, and reading them."""
