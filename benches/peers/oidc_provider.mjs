// `oidc-provider` with the apps of benches/load/seed.json, for `bash benches/peers/http`.
//
// node oidc_provider.mjs TOKENS COUNT: writes COUNT refresh tokens to the file TOKENS, prints its address, and serves
// until it is killed. The folder of its modules is NODE_MODULES.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const { default: Provider } = await import(
  pathToFileURL(`${process.env.NODE_MODULES}/oidc-provider/lib/index.js`));

const [tokens, count] = process.argv.slice(2);
const resource = 'https://api.example.com/';
const scope = 'files.read files.write profile';

// A map, as this library's MemoryStore. The adapter that comes with the package forgets all but 1,000 rows.
const rows = new Map();
class MapAdapter {
  constructor(model) {
    this.model = model;
  }

  async upsert(id, payload) {
    rows.set(`${this.model}:${id}`, payload);
  }

  async find(id) {
    return rows.get(`${this.model}:${id}`);
  }

  async consume(id) {
    rows.get(`${this.model}:${id}`).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    rows.delete(`${this.model}:${id}`);
  }

  async findByUid() {}

  async findByUserCode() {}

  async revokeByGrantId() {
    throw new Error('no refresh token is used twice');
  }
}

const client = (id) => ({
  client_id: id,
  client_secret: 'bench-secret-0123456789abcdefghijklmnop',
  token_endpoint_auth_method: 'client_secret_post',
  grant_types: ['authorization_code', 'client_credentials', 'refresh_token'],
  redirect_uris: ['https://app.example.com/cb'],
  id_token_signed_response_alg: 'ES256',
  scope: `openid offline_access ${scope}`,
});
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const server = createServer({ keepAliveTimeout: 0 });
await new Promise((listening) => { server.listen(0, '127.0.0.1', listening); });
const address = `127.0.0.1:${server.address().port}`;
const provider = new Provider(`http://${address}`, {
  adapter: MapAdapter,
  clients: ['bench', 'bench-refreshing'].map(client),
  scopes: ['openid', 'offline_access', ...scope.split(' ')],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'k1' }] },
  routes: { token: '/oauth/token', jwks: '/oauth/jwks' },
  rotateRefreshToken: true,
  ttl: { AccessToken: 3600, ClientCredentials: 3600, Grant: 1_209_600, RefreshToken: 1_209_600 },
  findAccount: (ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope,
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 3600,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
});
server.on('request', provider.callback());

const made = [];
for (let index = 0; index < Number(count); index += 1) {
  const grant = new provider.Grant({ accountId: 'ann', clientId: 'bench-refreshing' });
  grant.addResourceScope(resource, scope);
  const refreshToken = new provider.RefreshToken({
    accountId: 'ann',
    client: await provider.Client.find('bench-refreshing'),
    grantId: await grant.save(),
    gty: 'authorization_code',
    resource,
    scope,
  });
  made.push(await refreshToken.save());
}
writeFileSync(tokens, made.join('\n'));
console.log(address);
