"""How often the actors of a worker ask Redis again while it is away."""

RETRY_S = 0.2
