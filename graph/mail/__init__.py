"""Mail: an outbox that acts write into, what empties it, and the one-time codes that it carries."""
