/** What the server says of itself: health, metrics, version, the description of the API, and a page that links them. */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { type RequestHandler, Router } from 'express'
import type { Authorizer } from '../auth.js'
import type { Telemetry } from '../telemetry.js'
import { openapi } from './openapi.js'
import { otherVerb } from './verbs.js'

export type Pages = {
  version: string
  /** Of new sessions, and why it was taken. */
  engine: { id: string; why: string }
  /** Reasons why the server should get no traffic now; none when it is ready. */
  notReady(): Promise<readonly string[]>
}

export function pages(
  { version, engine, notReady }: Pages,
  authorizer: Authorizer,
  telemetry: Telemetry,
): RequestHandler {
  const router = Router()
  const open = (path: string, handler: RequestHandler) =>
    router
      .route(path)
      .get(handler)
      .all((req, res) => otherVerb(['GET'], req, res))
  const page = (path: string, handler: RequestHandler) =>
    open(path, (req, res, next) => {
      authorizer.check(`GET ${path}`, { authorization: req.get('authorization'), apiKey: req.get('x-api-key') })
      return handler(req, res, next)
    })

  page('/', (_req, res) => {
    res.type('html').send(landing(version))
  })
  page('/healthz', (_req, res) => {
    res.json({ status: 'ok' })
  })
  page('/readyz', async (_req, res) => {
    const reasons = await notReady()
    res.status(reasons.length > 0 ? 503 : 200).json({ ready: reasons.length === 0, reasons })
  })
  page('/version', (_req, res) => {
    res.json({ name: 'asktell', version, api: 'asktell.v1', node: process.version, engine })
  })
  page('/metrics', async (_req, res) => {
    res.type(telemetry.registry.contentType).send(await telemetry.registry.metrics())
  })
  let document: string | undefined
  page('/openapi.json', (_req, res) => {
    res.type('json').send((document ??= JSON.stringify(openapi(version))))
  })

  page('/docs', (_req, res) => {
    res.type('html').send(DOCS)
  })
  open('/docs/start.js', (_req, res) => {
    res.type('js').send(DOCS_START)
  })
  const assets = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))
  for (const file of ['swagger-ui.css', 'swagger-ui-bundle.js'])
    open(`/docs/${file}`, (_req, res) => res.sendFile(join(assets, file)))
  return router
}

const landing = (version: string) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>asktell</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}code{background:#8882;padding:.1em .3em}</style>
<h1>asktell ${version}</h1>
<p>Optimization as a service: sessions ask typed questions, clients tell what they found.</p>
<ul>
<li><a href="/docs">API reference</a>, from <a href="/openapi.json">openapi.json</a></li>
<li><a href="/v1/methods">Methods</a> and <a href="/v1/sessions">sessions</a></li>
<li><a href="/healthz">Health</a>, <a href="/readyz">readiness</a>, <a href="/metrics">metrics</a>, <a href="/version">version</a></li>
</ul>
</html>
`

const DOCS = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>asktell API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<div id="ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</html>
`
const DOCS_START = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#ui', deepLinking: true })\n`
