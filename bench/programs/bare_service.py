"""What FastAPI and uvicorn can do at most: the same server, the same paths, the same bodies checked by the same models, and nothing done."""

import asyncio
import socket

import uvicorn
import uvloop
from fastapi import FastAPI

from bench.programs import standard_input
from runner.http.job_body import BatchBody, JobBody

app = FastAPI()


@app.post("/v1/jobs", status_code=202)
async def submit(body: JobBody) -> dict[str, str]:
    return {"task": body.task}


@app.post("/v1/jobs/batch", status_code=202)
async def submit_batch(body: BatchBody) -> dict[str, int]:
    return {"jobs": len(body.jobs)}


async def main() -> None:
    orders = await standard_input()
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(
        app, lifespan="on", http="httptools", ws="none", log_config=None, access_log=False, server_header=False, proxy_headers=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    print("ready", f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await asyncio.wait([serving, asyncio.create_task(orders.read())], return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    uvloop.run(main())
