// What an integrator writes with the generated types: `node built/drive.js URL TOKEN`.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { paths } from "./tidemark.js";

const [url, token] = process.argv.slice(2);
assert(url && token);
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });

const body = { name: "Hotel TypeScript", reference: "ERP 1" };
const header = { "Idempotency-Key": "typescript-1" };
const made = await client.POST("/v1/keys", { body, params: { header } });
assert(made.data);
assert.equal(made.response.status, 201);
const again = await client.POST("/v1/keys", { body, params: { header } });
assert.equal(again.data?.id, made.data.id);

const taken = await client.POST("/v1/keys", { body });
assert.equal(taken.response.status, 409);
assert.equal(taken.error?.code, "key_name_taken");

const key_id = made.data.id;
const read = await client.GET("/v1/keys/{key_id}", { params: { path: { key_id } } });
const version = read.response.headers.get("ETag");
assert(version);
const change = { params: { path: { key_id }, header: { "If-Match": version } }, body: { reference: "ERP 2" } };
assert.equal((await client.PATCH("/v1/keys/{key_id}", change)).data?.reference, "ERP 2");
assert.equal((await client.PATCH("/v1/keys/{key_id}", change)).error?.code, "changed_meanwhile");

const site_id = made.data.site_id;
const site = await client.GET("/v1/sites/{site_id}", { params: { path: { site_id } } });
assert.equal(site.data?.liveness, "never_connected");
const pages = await client.GET("/v1/keys", { params: { query: { limit: 1, state: "issued" } } });
assert.equal(pages.data?.items.length, 1);

const endpoint = await client.POST("/v1/webhook-endpoints", { body: { url: "http://127.0.0.1:9/hook" } });
assert(endpoint.data?.public_key?.startsWith("whpk_"));
assert((await client.GET("/v1/reports/provisional", {})).data);
const stranger = createClient<paths>({ baseUrl: url });
assert.equal((await stranger.GET("/v1/me", {})).error?.code, "credential_invalid");
console.log("the TypeScript client is content");
