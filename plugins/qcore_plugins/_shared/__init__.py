"""What several bundled plugins share and nobody else may import."""
