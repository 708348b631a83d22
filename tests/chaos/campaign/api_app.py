"""The app that the API of a campaign serves: it needs the queue's name only."""

from runner import Runner
from tests.chaos.campaign.calls import QUEUE

jobs = Runner(QUEUE)
