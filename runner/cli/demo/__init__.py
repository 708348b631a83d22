"""The tasks that run when no --app is given, and the demonstration that measures the promises with them."""
