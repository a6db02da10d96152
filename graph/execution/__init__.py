"""How an operation runs fast and within bounds."""
