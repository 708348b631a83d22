"""Webhooks to many customers: a slow or dead one holds up nobody else, and each delivery is tried for a day."""
