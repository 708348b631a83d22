// A client of the service whose types come from its OpenAPI document alone: submits a job, waits for its end, and prints what it has seen as JSON.
// Usage: node client.js URL [KEY]

import createClient from "openapi-fetch";
import type { components, paths } from "./service.js";

type Job = components["schemas"]["Job"];
type Problem = components["schemas"]["ProblemDocument"];

const [url, key] = process.argv.slice(2);
if (url === undefined) throw new Error("give the URL of a service");
const api = createClient<paths>({ baseUrl: url, headers: key === undefined ? {} : { Authorization: `Bearer ${key}` } });

async function submitted(left: number, right: number): Promise<string> {
  const { data, error } = await api.POST("/v1/jobs", {
    params: { header: { "Idempotency-Key": `"sum-${left}-${right}"` } },
    body: { task: "add", args: { left, right }, priority: "high" },
  });
  if (error !== undefined) throw new Error(error.detail);
  return data.id;
}

async function ended(id: string): Promise<Job> {
  for (let polls = 0; polls < 60; polls++) {
    const { data, error } = await api.GET("/v1/jobs/{id}", { params: { path: { id }, query: { wait: 1 } } });
    if (error !== undefined) throw new Error(error.detail);
    if (data.finished_at !== null) return data;
  }
  throw new Error(`job ${id} has not ended`);
}

async function refused(): Promise<Problem> {
  const { error } = await api.POST("/v1/jobs", { body: { task: "no such task" } });
  if (error === undefined) throw new Error("a job of no task was stored");
  return error;
}

const id = await submitted(3, 4);
const again = await submitted(3, 4);
const job = await ended(id);
const { data: tasks } = await api.GET("/v1/tasks");
const problem = await refused();
console.log(
  JSON.stringify({
    id,
    again,
    state: job.state,
    result: job.result,
    tasks: tasks?.tasks.map((task) => task.name),
    problem: [problem.type, problem.status],
  }),
);
