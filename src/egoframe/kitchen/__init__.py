"""The built-in world: a first-person kitchen to train and test on, drawn by MuJoCo."""
