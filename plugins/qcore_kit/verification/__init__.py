"""How far two models agree: raw outputs quantity by quantity, results, and what a written file may differ by."""
