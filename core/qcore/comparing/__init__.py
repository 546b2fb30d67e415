"""What differs between two models that should do the same: a ladder from contracts to accuracy."""

from qcore.comparing.ladder import Compared, compare, preprocessing_only
from qcore.comparing.rung import Cause, Rung
from qcore.comparing.side import Side

__all__ = ["Cause", "Compared", "Rung", "Side", "compare", "preprocessing_only"]
