// Reads a Cluster of CloudNativePG as JSON; prints {"errors": [...], "unknown": [...]}.
//
// The validator was made from the operator's own definition. It passes over names that it does not know, as the cluster
// does; what it never looked at is such a name.
const { readFileSync } = require("fs");
const { resolve } = require("path");
// By its path: the package exports models that copy what they are given, and so look at every name.
const models = resolve(__dirname, "../../node_modules/@kubernetes-models/cloudnative-pg");
const { validate } = require(`${models}/_schemas/PostgresqlCnpgIoV1Cluster.js`);

const seen = new Set();

function watched(value, path) {
  if (value === null || typeof value !== "object") return value;
  return new Proxy(value, {
    get(target, name) {
      const below = Array.isArray(target) ? path : `${path}.${String(name)}`;
      seen.add(below);
      return watched(target[name], below);
    },
  });
}

function* names(value, path) {
  if (value === null || typeof value !== "object") return;
  for (const [name, below] of Object.entries(value)) {
    const here = Array.isArray(value) ? path : `${path}.${name}`;
    yield here;
    yield* names(below, here);
  }
}

const cluster = JSON.parse(readFileSync(0, "utf8"));
const errors = validate(watched(cluster, "")) ? [] : validate.errors;
const unknown = [...names(cluster, "")].filter((name) => name && !seen.has(name));
console.log(JSON.stringify({ errors, unknown }));
