// The official TypeScript SDK as an MCP client that a test drives; see client.py for how.
import { createInterface } from 'node:readline';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const plan = JSON.parse(process.argv[1]);

let protocolVersion;
const transport = new StdioClientTransport({ command: plan.command, args: plan.args, env: plan.env });
transport.setProtocolVersion = (version) => { protocolVersion = version; };
const client = new Client({ name: 'lab-typescript', version: '1' });
await client.connect(transport);
// Reading the list also makes the SDK compile the output schemas that it checks answers against.
const { tools } = await client.listTools();
say({ protocolVersion, serverInfo: client.getServerVersion(), instructions: client.getInstructions(), tools });

for await (const line of createInterface({ input: process.stdin })) {
  const step = JSON.parse(line);
  try {
    say(await client.callTool({ name: step.tool, arguments: step.arguments }));
  } catch (error) {
    say({ raised: String(error) });
  }
}
await client.close();
process.exit(0);
