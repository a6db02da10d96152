"""Communities: places with their own members and moderators."""
