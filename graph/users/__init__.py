"""People: their accounts, sessions and profiles."""
