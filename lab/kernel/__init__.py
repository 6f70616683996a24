"""Source + series + kconfig -> Build."""
