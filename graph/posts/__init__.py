"""Posts: what is published and discussed."""
