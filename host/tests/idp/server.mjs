// A real OpenID provider on loopback, for tests that sign in for real. Prints one JSON line with its issuer and its
// clients, then one line for every token it issues, so that a test knows what must never be seen. Ends with its standard
// input. The one argument is JSON: {"access_ttl": seconds, "device_ttl": seconds}.
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

const server = createServer();
server.listen(0, '127.0.0.1', () => {
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
  server.on('request', provider.callback());
  say({ issuer, clients: Object.fromEntries(clients.map((c) => [c.client_id, c.client_secret ?? null])) });
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
