"""Live delivery: an ordered log per topic, a broker that wakes followers, sessions that serve them.

Knows nothing of the community: topics are names, events are data.
"""
