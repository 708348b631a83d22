"""The HTTP service as this repository deploys it. Everything in it is built from runner.http, which your own FastAPI app can mount as well."""
