// What runs inside a Node.js environment: it imports the handler, asks the Runtime API for events, and answers.
//
// Standalone, for Node.js 16 and newer, without any dependency. Error names and texts, log lines and the context object
// are those of AWS's own client (aws/aws-lambda-nodejs-runtime-interface-client); the words about them here are ours.
//
// One connection, spoken to without node:http: an answer and the request for the next event leave in one write, which
// saves a wake-up per event. While a handler runs the connection does not keep the event loop alive: that the loop is
// empty is what a callback waits for, and what ends a handler that never answers.

import fs from 'node:fs';
import module, { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import util from 'node:util';

const require = createRequire(import.meta.url);
const env = process.env;

const PREFIX = '/2018-06-01/runtime';
const NEXT = Buffer.from(`GET ${PREFIX}/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n`);
const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
const CALLBACKS_UNTIL = 22;

class RuntimeError extends Error {
  constructor(kind, message) {
    super(message);
    this.name = `Runtime.${kind}`;
  }
}

class UnhandledPromiseRejection extends RuntimeError {
  constructor(reason, promise) {
    super('UnhandledPromiseRejection', reason);
    this.reason = reason;
    this.promise = promise;
  }
}

// Errors as AWS writes them

function toAnswer(error) {
  try {
    if (util.types.isNativeError(error) || (error?.name && error.message && typeof error.stack === 'string')) {
      return { errorType: error.name, errorMessage: error.message, trace: error.stack.split('\n') };
    }
    return { errorType: typeof error, errorMessage: error.toString(), trace: [] };
  } catch {
    return {
      errorType: 'handled',
      errorMessage:
        'callback called with Error argument, but there was a problem while retrieving one or more of its message, ' +
        'name, and stack',
    };
  }
}

function toLogged(key, value) {
  if (!(value instanceof Error)) return value;
  const shown = { errorType: value.name, errorMessage: value.message, code: value.code, ...value };
  if (typeof value.stack === 'string') shown.stack = value.stack.split('\n');
  return shown;
}

function toJsonLogged(key, value) {
  if (!(value instanceof Error)) return value;
  const stackTrace = typeof value.stack === 'string' ? value.stack.split('\n') : value.stack;
  return {
    errorType: value.constructor?.name ?? 'UnknownError',
    errorMessage: value.message,
    stackTrace,
    ...value,
  };
}

// The log

let requestId;
let tenantId;

const LEVELS = { trace: 1, debug: 2, info: 3, warn: 4, error: 5, fatal: 6 };

function writeAll(data) {
  for (let at = 0; at < data.length; ) {
    try {
      at += fs.writeSync(1, data, at);
    } catch (refused) {
      if (refused.code !== 'EAGAIN') throw refused; // process.stdout may have made the pipe non-blocking
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

// One frame of AWS's telemetry framing, so that a message of many lines stays one event: kind, length, time, text.
function writeFrame(kind, level, text) {
  const body = Buffer.from(text);
  const frame = Buffer.allocUnsafe(16 + body.length);
  frame.writeUInt32BE((0xa55a0000 | kind | (level << 2)) >>> 0, 0);
  frame.writeUInt32BE(body.length, 4);
  frame.writeBigUInt64BE(BigInt(Date.now()) * 1000n, 8);
  body.copy(frame, 16);
  writeAll(frame);
}

function formatJson(name, params) {
  const entry = { timestamp: new Date().toISOString(), level: name, requestId, tenantId };
  if (params.length === 1) {
    entry.message = params[0];
    try {
      return JSON.stringify(entry, toJsonLogged);
    } catch {
      entry.message = util.format(params[0]);
      return JSON.stringify(entry);
    }
  }
  entry.message = util.format(...params);
  const error = params.find((param) => param instanceof Error);
  if (error) Object.assign(entry, { ...toJsonLogged('', error) });
  return JSON.stringify(entry);
}

let logError;

function setUpConsole() {
  const json = env.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === 'JSON';
  const least = LEVELS[env.AWS_LAMBDA_LOG_LEVEL?.toLowerCase()] ?? LEVELS.trace;
  for (const [method, level] of Object.entries(LEVELS)) {
    const name = method.toUpperCase();
    if (level < least && method !== 'fatal') console[method] = () => {};
    else if (json) console[method] = (...params) => writeFrame(2, level, formatJson(name, params));
    else {
      console[method] = (...params) =>
        writeFrame(3, level, `${new Date().toISOString()}\t${requestId}\t${name}\t${util.format(...params)}\n`);
    }
  }
  console.log = console.info;
  logError = (title, thrown) => {
    const error = thrown instanceof Error ? thrown : new Error(thrown);
    if (json) return console.error(error);
    let text;
    try {
      text = JSON.stringify(error, toLogged);
    } catch {
      text = JSON.stringify(toAnswer(error));
    }
    return console.error(title, `\t${text}`);
  };
}

// The handler

// What `import` looks for in the folders of NODE_PATH, too. Node.js itself does so for `require` alone, AWS's runtime for
// both: layers and the SDK are found that way.
async function resolveElsewhere(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (missing) {
    if (missing.code !== 'ERR_MODULE_NOT_FOUND' || /^[./]|^[a-z]+:/.test(specifier)) throw missing;
    for (const parentURL of folders) {
      try {
        return await next(specifier, { ...context, parentURL });
      } catch (missingThere) {
        if (missingThere.code !== 'ERR_MODULE_NOT_FOUND') throw missingThere;
      }
    }
    // This very text is in the name of where it runs: nobody wants to read that in a trace.
    missing.stack = missing.stack.split('\n').filter((line) => !line.includes('(data:')).join('\n');
    throw missing;
  }
}

function importFromNodePath() {
  const folders = (env.NODE_PATH ?? '')
    .split(':')
    .filter((folder) => folder.endsWith('/node_modules') && fs.existsSync(folder))
    .map((folder) => String(pathToFileURL(path.dirname(folder) + '/')));
  if (folders.length === 0 || !module.register) return;
  const code = `const folders = ${JSON.stringify(folders)};\nexport const resolve = ${resolveElsewhere};`;
  module.register(`data:text/javascript,${encodeURIComponent(code)}`, import.meta.url);
}

function isModuleFolder(folder) {
  if (folder.endsWith('/node_modules')) return false;
  const file = path.join(folder, 'package.json');
  if (fs.existsSync(file)) {
    try {
      return JSON.parse(fs.readFileSync(file))?.type === 'module';
    } catch (wrong) {
      console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, wrong);
      return false;
    }
  }
  return folder === '/' ? false : isModuleFolder(path.resolve(folder, '..'));
}

async function loadModule(root, folder, name) {
  const file = path.resolve(root, folder, name);
  const isModule = isModuleFolder(path.dirname(file));
  const typed = Number(process.versions.node.split('.')[0]) >= 24;
  for (const [extension, imported, allowed] of [
    ['', false, true],
    ['.js', isModule, true],
    ['.mjs', true, true],
    ['.cjs', false, true],
    ['.ts', isModule, typed],
    ['.mts', true, typed],
    ['.cts', false, typed],
  ]) {
    const found = file + extension;
    if (allowed && fs.existsSync(found) && (extension || fs.statSync(found).isFile())) {
      // A thread of Node.js's own resolves what is imported then, and it starts as slowly as others do: CommonJS code
      // seldom imports anything.
      if (imported) importFromNodePath();
      return imported ? import(pathToFileURL(found)) : require(found);
    }
  }
  return require(require.resolve(name, { paths: [root, folder] }));
}

async function loadHandler(root, full) {
  if (full.includes('..')) {
    throw new RuntimeError(
      'MalformedHandlerName',
      `'${full}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  }
  const base = path.basename(full);
  const folder = full.substring(0, full.indexOf(base));
  const parts = /^([^.]*)\.(.*)$/.exec(base);
  if (!parts) throw new RuntimeError('MalformedHandlerName', 'Bad handler');
  let loaded;
  try {
    loaded = await loadModule(root, folder, parts[1]);
  } catch (wrong) {
    if (wrong instanceof SyntaxError) throw new RuntimeError('UserCodeSyntaxError', String(wrong));
    if (wrong?.code === 'MODULE_NOT_FOUND') throw new RuntimeError('ImportModuleError', String(wrong));
    throw wrong;
  }
  const handler = parts[2].split('.').reduce((nested, key) => nested && nested[key], loaded);
  if (!handler) throw new RuntimeError('HandlerNotFound', `${full} is undefined or not exported`);
  if (typeof handler !== 'function') throw new RuntimeError('HandlerNotFound', `${full} is not a function`);
  const major = Number(env.AWS_EXECUTION_ENV?.match(/nodejs(\d+)/)?.[1] ?? 0);
  if (major > CALLBACKS_UNTIL && handler.length >= 3 && !handler[STREAMING]) {
    throw new RuntimeError(
      'CallbackHandlerDeprecated',
      'ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You need ' +
        'to modify this function to use a supported handler signature to use Node.js 24 or later. For more ' +
        'information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.',
    );
  }
  return handler;
}

function offerStreaming() {
  if (['1', 'true'].includes(env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA)) return;
  globalThis.awslambda = {
    streamifyResponse(handler, options) {
      handler[STREAMING] = 'response';
      if (typeof options?.highWaterMark === 'number') handler[HIGH_WATER_MARK] = Math.trunc(options.highWaterMark);
      return handler;
    },
    HttpResponseStream: class HttpResponseStream {
      static from(stream, metadata) {
        stream.setContentType('application/vnd.awslambda.http-integration-response');
        // The metadata, then eight zero bytes, then the body.
        stream._prelude = Buffer.concat([Buffer.from(JSON.stringify(metadata)), Buffer.alloc(8)]);
        return stream;
      }
    },
  };
}

// The Runtime API

// Whether a wrapper script started us. It may have put a proxy of an extension's between, which hands a request on while
// the one before it is under way, and closes what is idle: each request has a connection of its own, and its time.
const wrapped = Boolean(env.AWS_LAMBDA_EXEC_WRAPPER);

class RuntimeApi {
  constructor(address) {
    const [host, port] = address.split(':');
    this.place = { host, port: Number(port), noDelay: true };
    this.wanted = []; // who waits for a response, first come first served
    if (!wrapped) this.connect();
  }

  connect() {
    this.socket?.destroy();
    this.received = Buffer.alloc(0);
    const socket = net.connect(this.place);
    socket.setNoDelay(true);
    socket.on('data', (data) => this.take(data));
    socket.on('close', () => {
      if (wrapped && socket !== this.socket) return;
      if (wrapped) this.take(Buffer.alloc(0), true);
      if (!wrapped || this.wanted.length) process.reallyExit(0); // the server is gone, and so are we
    });
    socket.on('error', () => {});
    this.socket = socket;
  }

  ask(...requests) {
    this.socket.cork();
    for (const request of requests) this.socket.write(request);
    this.socket.uncork();
  }

  answered() {
    return new Promise((resolve) => this.wanted.push(resolve));
  }

  // `isAll`: no more comes over this connection.
  take(data, isAll = false) {
    this.received = this.received.length ? Buffer.concat([this.received, data]) : data;
    for (;;) {
      const end = this.received.indexOf('\r\n\r\n');
      if (end < 0) return;
      const status = this.received.toString('latin1', 9, 12);
      const headers = {};
      for (const line of this.received.toString('utf8', 0, end).split('\r\n').slice(1)) {
        const colon = line.indexOf(':');
        headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
      }
      const found =
        headers['transfer-encoding'] === 'chunked'
          ? joinChunks(this.received, end + 4)
          : sliceBody(this.received, end + 4, headers['content-length'], status === '202', isAll);
      if (!found) return;
      const [body, size] = found;
      const refused = !status.startsWith('2');
      this.received = this.received.subarray(size);
      this.wanted.shift()?.({ headers, body, refused });
    }
  }

  async next(...before) {
    const told = wrapped ? await this.nextByItself(before) : await this.nextAtOnce(before);
    if (told.refused) {
      process.stderr.write(`The Runtime API has no next event: ${told.body}\n`);
      process.reallyExit(1);
    }
    return told;
  }

  async nextByItself(before) {
    for (const request of before) await this.post(request);
    this.connect();
    const event = this.answered();
    this.ask(NEXT);
    const told = await event;
    this.socket.unref();
    return told;
  }

  async nextAtOnce(before) {
    const skipped = before.length ? this.answered() : undefined;
    const event = this.answered();
    this.socket.ref();
    this.ask(...before, NEXT);
    await skipped; // 202; or 413, and then the Runtime API has told the caller itself
    const told = await event;
    this.socket.unref();
    return told;
  }

  async post(request) {
    if (wrapped) this.connect();
    const done = this.answered();
    this.socket.ref();
    this.ask(request);
    await done;
  }
}

// Return the body and where it ends; nothing if it is not all there. HTTP/1.0 ends it with the connection.
function sliceBody(data, start, told, isEmpty, isAll) {
  if (told === undefined && !isEmpty && !isAll) return undefined;
  const end = told !== undefined ? start + Number(told) : isEmpty ? start : data.length;
  return data.length < end ? undefined : [data.subarray(start, end), end];
}

function joinChunks(data, start) {
  const chunks = [];
  for (let at = start; ; ) {
    const end = data.indexOf('\r\n', at);
    if (end < 0) return undefined;
    const length = parseInt(data.toString('latin1', at, end), 16);
    at = end + 2 + length + 2;
    if (data.length < at) return undefined;
    if (length === 0) return [Buffer.concat(chunks), at];
    chunks.push(data.subarray(end + 2, end + 2 + length));
  }
}

function renderPost(where, body, headers = '') {
  const bytes = Buffer.from(body);
  const head =
    `POST ${PREFIX}/${where} HTTP/1.1\r\nHost: runtime\r\nContent-Type: application/json\r\n` +
    `${headers}Content-Length: ${bytes.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), bytes]);
}

function renderError(where, error) {
  const answer = toAnswer(error);
  const type = encodeURI(String(answer.errorType)).replace(/%20/g, ' ');
  return renderPost(where, JSON.stringify(answer), `Lambda-Runtime-Function-Error-Type: ${type}\r\n`);
}

function renderResult(id, result) {
  let text;
  try {
    text = JSON.stringify(result === undefined ? null : result) ?? 'null';
  } catch (wrong) {
    logError('Invoke Error', new Error('Unable to stringify response body'));
    return renderError(`invocation/${id}/error`, new Error('Unable to stringify response body'));
  }
  return renderPost(`invocation/${id}/response`, text);
}

// One event

let onEmptyLoop = () => {};
let onFatal;

function makeContext(headers, own) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  const parse = (name) => (headers[name] ? JSON.parse(headers[name]) : undefined);
  return Object.assign(own, {
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parse('lambda-runtime-client-context'),
    identity: parse('lambda-runtime-cognito-identity'),
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    tenantId,
    getRemainingTimeInMillis: () => deadline - Date.now(),
  });
}

// Functions of custom resources, those that the CDK and the Serverless Framework bring along included, send their answers
// by https to port 443, whatever URL they are given. Here it is one of http. Who makes up an event does not lead other
// requests away from https: no other server has this path.
const ANSWER_URL = /^http:\/\/[^/]+\/_cumulet\/cloudformation\/answers\//;
let answerUrl;

function answerByHttp(given) {
  if (answerUrl === undefined) {
    const http = require('node:http');
    const https = require('node:https');
    const { request } = https;
    https.request = (target, ...more) => {
      if (String(target) === answerUrl.href) return http.request(target, ...more);
      if (target?.hostname === answerUrl.hostname && target.path === answerUrl.pathname) {
        return http.request({ ...target, protocol: 'http:', port: answerUrl.port, agent: undefined }, ...more);
      }
      return request(target, ...more);
    };
    module.syncBuiltinESMExports();
  }
  answerUrl = new URL(given);
}

// Resolves to what is to be posted before the next event is asked for.
function handle(handler, headers, body) {
  const id = headers['lambda-runtime-aws-request-id'];
  return new Promise((resolve) => {
    let waits = true;
    let finished = false;
    const fail = (error) => {
      onEmptyLoop = () => {};
      logError('Invoke Error', error);
      resolve(renderError(`invocation/${id}/error`, error));
    };
    const succeed = (result) => {
      onEmptyLoop = () => {};
      resolve(renderResult(id, result));
    };
    const once = (act) => (...values) => {
      if (finished) return;
      finished = true;
      act(...values);
    };
    const done = (error, result) => (error === undefined || error === null ? succeed(result) : fail(error));
    const callback = once((error, result) => {
      if (error !== undefined && error !== null) fail(error);
      else if (waits) onEmptyLoop = () => succeed(result);
      else succeed(result);
    });
    const context = makeContext(headers, {
      get callbackWaitsForEmptyEventLoop() {
        return waits;
      },
      set callbackWaitsForEmptyEventLoop(value) {
        waits = value;
      },
      succeed: once(succeed),
      fail: once((error) => fail(error ?? 'handled')),
      done: once(done),
    });
    onEmptyLoop = () => {
      if (handler.constructor?.name === 'AsyncFunction') {
        fail(
          new RuntimeError(
            'NodeJsExit',
            'The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by a ' +
              'Promise that was never settled. For more information, see ' +
              'https://nodejs.org/docs/latest/api/process.html#exit-codes',
          ),
        );
      } else succeed(null);
    };
    try {
      const event = JSON.parse(body.toString());
      if (ANSWER_URL.test(event?.ResponseURL)) answerByHttp(event.ResponseURL);
      const result = handler(event, context, callback);
      if (typeof result?.then === 'function') result.then(context.succeed, context.fail);
    } catch (error) {
      callback(error);
    }
  });
}

class ResponseStream extends Writable {
  constructor(api, id, highWaterMark) {
    super(highWaterMark ? { highWaterMark } : {});
    this._api = api;
    this._id = id;
    this._type = 'application/octet-stream';
    this._begun = false;
    this._trailers = '';
    this.accepted = new Promise((resolve) => {
      this._accept = resolve;
    });
  }

  setContentType(type) {
    if (this._begun) throw new RuntimeError('InvalidStreamingOperation', 'Cannot set content-type, too late.');
    this._type = type;
  }

  write(chunk, ...more) {
    const plain = typeof chunk === 'string' || chunk instanceof Uint8Array;
    return super.write(plain ? chunk : JSON.stringify(chunk), ...more);
  }

  _head() {
    if (this._begun) return [];
    this._begun = true;
    if (wrapped) this._api.connect();
    this._api.answered().then(this._accept);
    const head =
      `POST ${PREFIX}/invocation/${this._id}/response HTTP/1.1\r\nHost: runtime\r\nContent-Type: ${this._type}\r\n` +
      'Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n' +
      'Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n';
    return [Buffer.from(head), ...(this._prelude ? frameChunk(this._prelude) : [])];
  }

  _write(chunk, encoding, callback) {
    const head = this._head(); // which may take another connection
    this._api.socket.write(Buffer.concat([...head, ...frameChunk(chunk)]), callback);
  }

  _final(callback) {
    const head = this._head();
    this._api.socket.write(Buffer.concat([...head, Buffer.from(`0\r\n${this._trailers}\r\n`)]), callback);
  }

  failWith(error) {
    const answer = toAnswer(error);
    const body = Buffer.from(JSON.stringify(answer)).toString('base64');
    this._trailers =
      `Lambda-Runtime-Function-Error-Type: ${encodeURI(String(answer.errorType))}\r\n` +
      `Lambda-Runtime-Function-Error-Body: ${body}\r\n`;
    if (!this.writableEnded) this.end();
  }
}

function frameChunk(data) {
  return data.length ? [Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')] : [];
}

async function handleStreaming(api, handler, headers, body) {
  const stream = new ResponseStream(api, headers['lambda-runtime-aws-request-id'], handler[HIGH_WATER_MARK]);
  let waits = true;
  const context = makeContext(headers, {
    get callbackWaitsForEmptyEventLoop() {
      return waits;
    },
    set callbackWaitsForEmptyEventLoop(value) {
      waits = value;
    },
  });
  const fail = (error) => {
    logError('Invoke Error', error);
    stream.failWith(error);
  };
  stream.on('error', () => {});
  onEmptyLoop = () => fail(new Error('Response stream is not finished.'));
  onFatal = (error) => {
    stream.failWith(error);
    return stream.accepted;
  };
  try {
    const running = handler(JSON.parse(body.toString()), stream, context);
    if (typeof running?.then !== 'function') throw 'Streaming does not support non-async handlers.'; // eslint-disable-line
    if ((await running) !== undefined) console.warn('Streaming handlers ignore return values.');
    if (!stream.writableEnded) {
      // A pipe may still be at work; a stream that nobody ends is told when nothing is left to do.
      await Promise.race([stream.accepted, new Promise((resolve) => {
        onEmptyLoop = () => {
          fail('Response stream is not finished.');
          resolve();
        };
      })]);
    }
  } catch (error) {
    fail(error);
  }
  api.socket?.ref();
  await stream.accepted;
  onEmptyLoop = () => {};
}

async function serve(api, handler) {
  let posts = [];
  for (;;) {
    onEmptyLoop = () => {};
    const { headers, body } = await api.next(...posts);
    requestId = headers['lambda-runtime-aws-request-id'];
    tenantId = headers['lambda-runtime-aws-tenant-id'];
    const trace = headers['lambda-runtime-trace-id'];
    if (trace) env._X_AMZN_TRACE_ID = trace;
    else delete env._X_AMZN_TRACE_ID;
    const where = `invocation/${requestId}/error`;
    onFatal = (error) => api.post(renderError(where, error));
    if (handler[STREAMING]) {
      await handleStreaming(api, handler, headers, body);
      posts = [];
    } else {
      posts = [await handle(handler, headers, body)];
    }
  }
}

// The process

function end(title, error, code) {
  logError(title, error);
  onFatal(error).then(() => process.exit(code));
}

const api = new RuntimeApi(env.AWS_LAMBDA_RUNTIME_API);
api.socket?.unref(); // a module that waits for nothing at all ends the process, as on AWS
onFatal = (error) => api.post(renderError('init/error', error));
setUpConsole();
offerStreaming();
process.on('uncaughtException', (error) => end('Uncaught Exception', error, 129));
process.on('unhandledRejection', (reason, promise) => {
  end('Unhandled Promise Rejection', new UnhandledPromiseRejection(reason, promise), 128);
});
process.on('beforeExit', () => onEmptyLoop());
loadHandler(env.LAMBDA_TASK_ROOT, env._HANDLER).then(
  (handler) => serve(api, handler),
  (error) => {
    const sdk = /^(?:Error: )?Cannot find (?:module|package) '(@(?:aws-sdk|smithy)\/[^']+)'/.exec(error?.message);
    if (sdk) {
      process.stderr.write(
        `cumulet: ${sdk[1]} is neither in the package nor in a layer, and no SDK is built in; ` +
          'CUMULET_NODEJS_MODULES may name a folder node_modules that has it\n',
      );
    }
    end('Uncaught Exception', error, 129);
  },
);
