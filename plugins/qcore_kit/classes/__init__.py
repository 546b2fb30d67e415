"""Class names as files write them."""
