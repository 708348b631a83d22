"""How long single calls of the scripts take in the server, each at the worst that its callers can ask of it."""
