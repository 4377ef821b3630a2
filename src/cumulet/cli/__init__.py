"""The command line: a client of the server's own AWS APIs, and the way to start the server."""
