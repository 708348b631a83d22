"""`uvicorn api.main:app`: the service of the queue that the environment names."""

from runner.http import create_app

app = create_app()
