"""A web shop with users of its own that submits jobs, runs them, and has the queue's own routes inside."""
