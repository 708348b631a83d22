"""The ids of jobs that are there, as who sees the jobs of tenants names them."""

from runner.errors import InvalidJobId
from runner.jobs.job import is_job_id
from runner.names import SHORT_NAME, fits


def check_known_id(job_id: str) -> str:
    """The id of a job that is there: of a tenant's too, for who sees those, with the tenant before it, like t7/o-17. Raises `InvalidJobId`."""
    given: object = job_id
    tenant, slash, own = given.partition("/") if isinstance(given, str) else ("", "", "")
    if not is_job_id(own if slash else given) or (slash and not fits(SHORT_NAME, tenant)):
        raise InvalidJobId(f"job id {job_id!r:.42} cannot be used: give 1 to 128 letters, digits, '.', '_', ':' or '-'")
    return job_id
