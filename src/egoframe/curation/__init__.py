"""From annotated clips to a dataset of action pairs: which frames, and which are worth keeping."""
