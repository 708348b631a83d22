"""The client of a queue's HTTP service, for producers and operators who reach no Redis. It has the verbs of `Client`, and their types."""

from runner.http_client.bulk import HttpBulks
from runner.http_client.client import BlockingHttpClient, HttpClient
from runner.http_client.control import HttpControl
from runner.http_client.pauses import HttpPauses
from runner.http_client.schedules import HttpScheduleControl

__all__ = ["BlockingHttpClient", "HttpBulks", "HttpClient", "HttpControl", "HttpPauses", "HttpScheduleControl"]
