"""The app: routes that submit jobs and tell of them, a worker in its lifespan, and the queue's own routes for those who may."""

# [submit]
from fastapi import Depends, FastAPI
from pydantic import BaseModel

from examples.fastapi_app.tasks import charge, jobs, write_report
from examples.fastapi_app.users import OperatorsOnly, User, known_user
from runner import JobHandle
from runner.http import create_app, lifespan, problems, router

app = FastAPI(title="Shop", lifespan=lifespan(jobs, worker=True))
problems(app)


@app.post("/orders/{order}/payment", status_code=202)
async def pay(order: str, user: User) -> JobHandle[str]:
    return await charge.with_options(id=f"pay-{order}", metadata={"by": user}).submit(order)


@app.post("/orders/{order}/payment/plain", status_code=202)
def pay_in_plain_code(order: str, user: User) -> JobHandle[str]:
    return jobs.client.job(charge.with_options(id=f"pay-{order}", metadata={"by": user}).blocking.submit(order).id)


@app.get("/orders/{order}/payment", dependencies=[Depends(known_user)])
async def payment(order: str) -> str:
    return await jobs.client.job(f"pay-{order}", result=str).result(timeout=20)


# [/submit]


# [progress]
class Report(BaseModel):
    """How far a report is, from 0 to 1, and in words."""

    state: str
    done: float = 0
    note: str | None = None


@app.post("/reports/{month}", status_code=202, dependencies=[Depends(known_user)])
async def begin_report(month: str) -> JobHandle[int]:
    return await write_report.submit(month)


@app.get("/reports/{job}", dependencies=[Depends(known_user)])
async def report(job: str) -> Report:
    status = await jobs.client.status(job)
    said = status.progress
    return Report(state=status.state) if said is None else Report(state=status.state, done=said.fraction or 0, note=said.note)


# [/progress]


# [inside]
# Among the shop's own routes, in its /docs, behind its own dependencies: staff follow jobs there.
app.include_router(router(jobs), prefix="/queue", dependencies=[Depends(known_user)])

# An app of its own beside it, with the dashboard at /operators/ui/: what guards it is middleware.
app.mount("/operators", OperatorsOnly(create_app(jobs)))
# [/inside]
