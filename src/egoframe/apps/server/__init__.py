"""`egoframe serve`: an HTTP interface and a page, around one model."""
