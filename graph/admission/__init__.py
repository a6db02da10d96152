"""Admission: how people come into communities, invited or at their own request."""
