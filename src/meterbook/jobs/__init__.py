"""What runs by itself: day closes, recovery files, upkeep."""
