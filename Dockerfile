# Worker or any other command of `python -m runner`, and the service of api/. Every dependency is a wheel, so no compiler is needed.
# It runs as user 1000, writes nothing but what /tmp takes, and needs no capability: see docker-compose.yml.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE runner_pytest.py ./
COPY runner ./runner
# The base image has no bytecode of the standard library, and a process that may not write any would compile what it imports at each start.
RUN pip install --only-binary :all: -c constraints.txt '.[cli,http,metrics]' \
    && (python -m compileall -q -x '/(tests?|idlelib|lib2to3)/' "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" || true) \
    && cd / && rm -rf /src \
    && groupadd --gid 1000 runner && useradd --create-home --uid 1000 --gid 1000 runner

# The service is not installed: `python -m api` runs it from this folder, where no package of the application comes first.
COPY api /srv/metered-runner/api

# The application's own code goes here (mounted, or copied by an image built on this one): RUNNER_APP=shop.tasks:jobs
# Only the package runner is installed, so a package api in this folder is the application's: RUNNER_APP=api.tasks:jobs
WORKDIR /app
USER 1000:1000
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "runner"]
CMD ["--help"]
