"""Networks in PyTorch with fake quantizers at the places that placement chose: calibrated, trained, never exported."""
