"""Charges that are made once, whatever is lost on the way: an idempotency key for each payment."""
