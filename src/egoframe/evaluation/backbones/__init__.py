"""The networks that metrics look through, in plain torch; keys as in their published files."""
