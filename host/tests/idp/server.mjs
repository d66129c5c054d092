// A real OpenID provider on loopback, for tests that sign in for real. Prints one JSON line with its issuer and its
// clients, then one line for every token it issues, so that a test knows what must never be seen. Ends with its standard
// input. The one argument is JSON: {"access_ttl": seconds, "device_ttl": seconds, "backlog": connections that may wait to be accepted}.
//
// POST /control, for a test that kills or suspends who waits for a token: {"hold": "request"} keeps token requests before
// anything is made of them, "answer" keeps their answers back, "last byte" all but that; null holds no more. {"release":
// "serve"} lets those go on that are held, "drop" breaks their connections. A line {"held": …} tells of each.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

// Its warnings and notices say that it is no production setup, which is true.
console.warn = console.info = () => {};
const { Provider } = await import('oidc-provider');

const options = JSON.parse(process.argv[1] ?? '{}');
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const secret = () => randomBytes(24).toString('base64url');

const client = (id, method) => ({
  client_id: id,
  ...(method === 'none' ? {} : { client_secret: secret() }),
  token_endpoint_auth_method: method,
  // A native app: any loopback port matches (RFC 8252, section 7.3).
  application_type: 'native',
  redirect_uris: ['http://localhost/oauth/callback', 'http://127.0.0.1/oauth/callback'],
  grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
  response_types: ['code'],
});
const clients = [client('public-client', 'none'), client('basic-client', 'client_secret_basic'), client('post-client', 'client_secret_post')];

let hold = null;
const held = [];
const keep = (where, serve, drop) => {
  held.push((word) => (word === 'serve' ? serve() : drop()));
  say({ held: where });
};

const control = async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  const order = JSON.parse(body);
  if ('hold' in order) hold = order.hold;
  if ('release' in order) for (const go of held.splice(0)) go(order.release);
  response.end();
};

// In front of the provider, which knows nothing of it.
const holding = (serve) => (request, response) => {
  if (request.url === '/control') return control(request, response);
  const where = request.url === '/token' ? hold : null;
  const drop = () => response.destroy();
  if (where === 'request') return keep(where, () => serve(request, response), drop);
  if (where !== null) {
    const end = response.end.bind(response);
    response.end = (body) => {
      const bytes = Buffer.from(body);
      if (where === 'last byte') response.write(bytes.subarray(0, -1));
      keep(where, () => end(where === 'last byte' ? bytes.subarray(-1) : bytes), drop);
      return response;
    };
  }
  return serve(request, response);
};

const server = createServer();
server.listen(0, '127.0.0.1', options.backlog ?? 511, () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients,
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post'],
    cookies: { keys: [secret()] },
    features: { devInteractions: { enabled: true }, deviceFlow: { enabled: true }, revocation: { enabled: true }, introspection: { enabled: true } },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    scopes: ['openid', 'offline_access', 'profile', 'email'],
    claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: `The person ${id}`, email: `${id}@example.test` }) }),
    ttl: { AccessToken: options.access_ttl ?? 3600, AuthorizationCode: 60, DeviceCode: options.device_ttl ?? 600, IdToken: 3600, RefreshToken: 86400, Interaction: 600, Session: 600, Grant: 86400 },
  });
  for (const [event, kind] of [['authorization_code.saved', 'code'], ['access_token.saved', 'access'], ['refresh_token.saved', 'refresh'], ['device_code.saved', 'device']]) {
    provider.on(event, (token) => say({ issued: kind, value: token.jti }));
  }
  provider.on('grant.success', (ctx) => say({ granted: ctx.oidc.params.grant_type, client: ctx.oidc.client.clientId }));
  provider.on('grant.error', (ctx, error) => say({ refused: error.error, detail: error.error_detail ?? error.error_description }));
  server.on('request', holding(provider.callback()));
  say({ issuer, clients: Object.fromEntries(clients.map((c) => [c.client_id, c.client_secret ?? null])) });
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
