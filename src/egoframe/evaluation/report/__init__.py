"""An evaluation as one HTML page: `tables`, `scatter` and `gallery` → `page`."""
