import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { describe, expect, it } from 'vitest'
import { Asktell } from '../../src/core/gen/asktell/v1/service_pb.js'
import { Authorizer, POLICY } from '../../src/server/auth.js'
import { harness, json, refused, SEARCH, searchSession } from './clients.js'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const h = harness({
  apiKeys: [
    { name: 'writer', sha256: sha256('w-secret'), access: 'write' },
    { name: 'reader', sha256: sha256('r-secret'), access: 'read' },
  ],
})

describe('the policy', () => {
  it('names every rpc, and nothing that there is not', () => {
    const rpcs = Asktell.methods.map(({ name }) => `${Asktell.typeName}/${name}`)
    expect(Object.keys(POLICY).filter((what) => what.startsWith(Asktell.typeName))).toEqual(rpcs)
  })
  it('lets nobody do what it does not name', () => {
    const open = new Authorizer([])
    expect(() => open.check('asktell.v1.Asktell/Unknown', {})).toThrow(/no policy/)
    expect(() => open.check('toString', {})).toThrow(/no policy/)
    expect(open.check('asktell.v1.Asktell/Ask', {})).toBe('anonymous')
  })
  it('asks for a key for every call that is not open', () => {
    const keyed = new Authorizer([{ name: 'k', sha256: sha256('k'), access: 'read' }])
    for (const [what, access] of Object.entries(POLICY)) {
      if (access === 'open') expect(keyed.check(what, {})).toBe('anonymous')
      else expect(() => keyed.check(what, {}), what).toThrow(/expected a key/)
      if (access === 'write') expect(() => keyed.check(what, { apiKey: 'k' }), what).toThrow(/only read/)
    }
  })
})

describe('keys', () => {
  const post = (headers: Record<string, string>) => json(`${h.url}/v1/sessions`, 'POST', { session: SEARCH }, headers)

  it('are asked for on both transports', async () => {
    expect(await refused(h.grpc.unary('listSessions', {}))).toMatchObject({ code: 16, reason: 'UNAUTHENTICATED' })
    const response = await fetch(`${h.url}/v1/sessions`)
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe('Bearer')
    expect((await fetch(`${h.url}/metrics`)).status).toBe(401)
    expect((await fetch(`${h.url}/healthz`)).status).toBe(200)
  })
  it('that are wrong are refused', async () => {
    expect(await refused(h.grpc.unary('listSessions', {}, { authorization: 'Bearer nope' }))).toMatchObject({
      code: 16,
    })
    expect((await post({ 'x-api-key': 'nope' })).status).toBe(401)
  })
  it('that only read cannot write', async () => {
    const metadata = { 'x-api-key': 'r-secret' }
    expect((await h.grpc.unary('listSessions', {}, metadata)).sessions).toEqual([])
    const write = h.grpc.unary('createSession', { session: searchSession }, metadata)
    expect(await refused(write)).toMatchObject({ code: 7, reason: 'PERMISSION_DENIED' })
    expect((await post({ authorization: 'Bearer r-secret' })).status).toBe(403)
  })
  it('that write do', async () => {
    await h.grpc.unary(
      'createSession',
      { session: searchSession, sessionId: 'a' },
      { authorization: 'Bearer w-secret' },
    )
    expect((await post({ 'x-api-key': 'w-secret' })).status).toBe(200)
  })
})

describe('pages of other sites', () => {
  const raw = (headers: Record<string, string>, method = 'GET') =>
    new Promise<number>((resolve, reject) =>
      request(`${h.url}/version`, { method, headers }, (res) => resolve(res.resume().statusCode ?? 0))
        .on('error', reject)
        .end(),
    )
  it('cannot reach loopback under their own name', async () => {
    expect(await raw({ host: 'evil.example' })).toBe(403)
    expect(await raw({ host: 'localhost:1234' })).toBe(200)
    expect(await raw({ host: '[::1]:80' })).toBe(200)
  })
  it('cannot change anything', async () => {
    expect(await raw({ origin: 'http://evil.example' }, 'POST')).toBe(403)
  })
})
