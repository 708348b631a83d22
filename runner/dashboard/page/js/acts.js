// What a person can do here. Each is one request; what it refuses is shown where it was asked for.
import { ask, part } from "./service.js";

const post = (path, body) => ask(path, { method: "POST", body });
const limit = (name) => `v1/limits/${part(name)}`;
const filled = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value != null && value !== ""));

export const pauseLimit = (name, reason) => post(`${limit(name)}/pause`, filled({ reason }));
export const resumeLimit = (name) => post(`${limit(name)}/resume`);
export const freezeLimit = (name, duration, bucket, reason) => post(`${limit(name)}/freeze`, filled({ duration, bucket, reason }));
export const releaseLimit = (name, bucket) => post(`${limit(name)}/release`, filled({ bucket }));
export const changeLimit = (name, numbers) => ask(limit(name), { method: "PUT", body: filled(numbers) });
export const restoreLimit = (name) => ask(`${limit(name)}/override`, { method: "DELETE" });

export const cancelJob = (id) => ask(`v1/jobs/${part(id)}`, { method: "DELETE" });
export const retryJob = (id) => post(`v1/jobs/${part(id)}/retry`);

/** Count the jobs of a filter, now. Nothing happens to them before `confirmMany`. */
export const countMany = (action, filter, reason) => post("v1/bulk", filled({ action, filter, reason }));
export const stateOfMany = (id) => ask(`v1/bulk/${part(id)}`);
export const confirmMany = (id, count) => post(`v1/bulk/${part(id)}/confirm`, { expected: count });
export const dropMany = (id) => ask(`v1/bulk/${part(id)}`, { method: "DELETE" });

export const pauseSchedule = (name, reason) => post(`v1/schedules/${part(name)}/pause`, filled({ reason }));
export const resumeSchedule = (name) => post(`v1/schedules/${part(name)}/resume`);
export const triggerSchedule = (name) => post(`v1/schedules/${part(name)}/trigger`);
export const cancelBatch = (id) => ask(`v1/batches/${part(id)}`, { method: "DELETE" });
