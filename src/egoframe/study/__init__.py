"""The human study: which frame best shows the action."""
