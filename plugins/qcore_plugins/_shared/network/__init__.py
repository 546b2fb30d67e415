"""What the convolutional families share: the unit of convolution, normalization and activation, and config rows."""
