// What Node's HTTP server can do that keeps no promise: reads each request, answers all alike. Prints its port.
import { createServer } from 'node:http';

const answers: Record<string, string> = {
  ListTables: '{"TableNames":["bench"]}',
  DescribeTable: '{"Table":{"TableStatus":"ACTIVE"}}',
  Query: '{"Items":[],"Count":0,"ScannedCount":0}',
};
const server = createServer((request, response) => {
  request.on('data', () => {});
  request.on('end', () => {
    const body = answers[String(request.headers['x-amz-target']).split('.')[1]] ?? '{}';
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0', 'content-length': body.length });
    response.end(body);
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object') process.stdout.write(`${address?.port}\n`);
});
