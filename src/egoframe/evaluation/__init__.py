"""How good a picture is: one file per family of metrics."""
