"""What the actors of a worker make of an error of Redis: how often they ask again while it is away, and which errors they expect."""

from runner.errors import ClientClosed, LeaseLost, NotPermitted, StoreUnavailable

RETRY_S = 0.2
EXPECTED = (StoreUnavailable, LeaseLost, NotPermitted, ClientClosed)
"""What a call may raise. Anything else is a refusal of the call as a whole, which must not end the actor that made it."""
