"""One reader for each kind of data; every one yields `ActionClip`s."""
