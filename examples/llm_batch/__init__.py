"""Thousands of prompts through a language model, within the requests and tokens a minute of the account."""
