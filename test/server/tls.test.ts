/** Both ports under TLS, with a certificate that is for these tests only (test/server/tls). */
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { fileURLToPath } from 'node:url'
import { Client, credentials } from '@grpc/grpc-js'
import { expect, it } from 'vitest'
import { harness } from './clients.js'

const path = (name: string) => fileURLToPath(new URL(`tls/${name}.pem`, import.meta.url))
const ca = readFileSync(path('cert'))
const h = harness({ tls: { cert: path('cert'), key: path('key') } })

it('serves gRPC to who trusts the certificate, and to nobody in the clear', async () => {
  const list = (client: Client) =>
    new Promise<number>((resolve, reject) =>
      client.makeUnaryRequest(
        '/asktell.v1.Asktell/ListSessions',
        (bytes: Buffer) => bytes,
        (bytes) => bytes.length,
        Buffer.alloc(0),
        { deadline: Date.now() + 5000 },
        (error, value) => (error ? reject(error) : resolve(value as number)),
      ),
    )
  const trusting = new Client(`localhost:${h.server.grpcPort}`, credentials.createSsl(ca))
  expect(await list(trusting)).toBe(0)
  trusting.close()
  await expect(list(h.grpc.client)).rejects.toMatchObject({ code: 14 })
})

it('serves HTTPS', async () => {
  const status = await new Promise((resolve, reject) =>
    request({ host: 'localhost', port: h.server.httpPort, path: '/healthz', ca }, (res) =>
      resolve(res.resume().statusCode),
    )
      .on('error', reject)
      .end(),
  )
  expect(status).toBe(200)
})
