"""The routes, one file per subject. Each parses, calls the client, and shapes the answer; decisions are the runner's."""
