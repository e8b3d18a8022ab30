"""A teacher: a language model that describes, from words alone, how actions are done."""
