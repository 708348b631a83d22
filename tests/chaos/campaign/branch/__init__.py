"""A branch: a second queue of a campaign, with an application, a server and workers of its own. It shares one limit with the first queue."""
