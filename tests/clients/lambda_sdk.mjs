// What an application in JavaScript does with a function, its table and its log, by AWS's SDK; prints what it saw.
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { CloudWatchLogsClient, FilterLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { CreateTableCommand, DeleteTableCommand, DynamoDBClient, GetItemCommand, PutItemCommand, ScanCommand,
  TransactWriteItemsCommand, waitUntilTableExists } from '@aws-sdk/client-dynamodb';
import * as lambda from '@aws-sdk/client-lambda';

const [name, role, archive] = process.argv.slice(2);
const functions = new lambda.LambdaClient();
const dynamodb = new DynamoDBClient();
const logs = new CloudWatchLogsClient();
const saw = {};
const text = (bytes) => Buffer.from(bytes ?? []).toString();

async function refused(promise) {
  try {
    await promise;
    return null;
  } catch (error) {
    return [error.name, error.$metadata.httpStatusCode, error instanceof lambda.LambdaServiceException];
  }
}

const FunctionName = name;
await functions.send(new lambda.CreateFunctionCommand({
  FunctionName, Role: role, Runtime: 'nodejs20.x', Handler: 'index.handler', Timeout: 20,
  Code: { ZipFile: await readFile(archive) }, Environment: { Variables: { GREETING: 'hello' } },
}));
await lambda.waitUntilFunctionActiveV2({ client: functions, maxWaitTime: 20 }, { FunctionName });
const answer = await functions.send(new lambda.InvokeCommand({
  FunctionName, Payload: JSON.stringify({ name: 'Ann' }), LogType: 'Tail',
}));
saw.payload = text(answer.Payload);
saw.tail = Buffer.from(answer.LogResult, 'base64').toString().includes('REPORT RequestId');

const streamed = await functions.send(new lambda.InvokeWithResponseStreamCommand({
  FunctionName, Payload: JSON.stringify({ pieces: 3 }), LogType: 'Tail',
}));
saw.stream = { type: streamed.ResponseStreamContentType, status: streamed.StatusCode, pieces: [] };
for await (const event of streamed.EventStream) {
  if (event.PayloadChunk) saw.stream.pieces.push(text(event.PayloadChunk.Payload));
  if (event.InvokeComplete) saw.stream.log = Boolean(event.InvokeComplete.LogResult);
}
const broken = await functions.send(new lambda.InvokeWithResponseStreamCommand({
  FunctionName, Payload: JSON.stringify({ pieces: 1, fail: true }),
}));
for await (const event of broken.EventStream) {
  if (event.InvokeComplete) saw.broken = [event.InvokeComplete.ErrorCode, event.InvokeComplete.ErrorDetails];
}
saw.missing = await refused(functions.send(new lambda.InvokeCommand({ FunctionName: `${name}-none` })));
saw.invalid = await refused(functions.send(new lambda.InvokeCommand({ FunctionName, Payload: '{' })));

const { Version } = await functions.send(new lambda.PublishVersionCommand({ FunctionName }));
await functions.send(new lambda.CreateAliasCommand({ FunctionName, Name: 'live', FunctionVersion: Version }));
saw.alias = (await functions.send(new lambda.InvokeCommand({ FunctionName, Qualifier: 'live' }))).ExecutedVersion;
saw.versions = [];
for await (const page of lambda.paginateListVersionsByFunction({ client: functions, pageSize: 1 }, { FunctionName })) {
  saw.versions.push(...page.Versions.map((version) => version.Version));
}

const TableName = name;
await dynamodb.send(new CreateTableCommand({
  TableName, BillingMode: 'PAY_PER_REQUEST', KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
  AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
}));
await waitUntilTableExists({ client: dynamodb, maxWaitTime: 60 }, { TableName });
const item = { pk: { S: 'a' }, data: { B: Buffer.from([0, 1, 255]) }, set: { NS: ['1', '2'] } };
await dynamodb.send(new PutItemCommand({ TableName, Item: item }));
const found = (await dynamodb.send(new GetItemCommand({ TableName, Key: { pk: { S: 'a' } } }))).Item;
saw.item = [[...found.data.B], found.set.NS.sort()];
try {
  const Put = { TableName, Item: { pk: { S: 'a' } }, ConditionExpression: 'attribute_not_exists(pk)' };
  await dynamodb.send(new TransactWriteItemsCommand({ TransactItems: [{ Put }] }));
} catch (error) {
  saw.cancelled = [error.name, error.CancellationReasons.map((reason) => reason.Code)];
}
saw.count = (await dynamodb.send(new ScanCommand({ TableName, Select: 'COUNT' }))).Count;
await dynamodb.send(new DeleteTableCommand({ TableName }));

const logGroupName = `/aws/lambda/${name}`;
for (let tries = 0; tries < 100 && !saw.logged?.length; tries++) {
  const page = await logs.send(new FilterLogEventsCommand({ logGroupName, filterPattern: '"greeted Ann"' }))
    .catch((error) => ({ events: [], error }));
  saw.logged = page.events.map((event) => event.message.trim().split('\t').at(-1));
  if (!saw.logged.length) await sleep(50);
}
await functions.send(new lambda.DeleteFunctionCommand({ FunctionName }));
process.stdout.write(JSON.stringify(saw));
