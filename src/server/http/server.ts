/** The HTTP transport: the API's routes, the pages beside them, and errors as RFC 9457. */
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import { AsktellError } from '../../core/errors.js'
import { Asktell } from '../../core/gen/asktell/v1/service_pb.js'
import type { Authorizer } from '../auth.js'
import type { Dispatcher } from '../call.js'
import { type Config, isLoopback } from '../config.js'
import { asError, problem } from '../errors.js'
import { requestId } from '../request-id.js'
import type { Telemetry } from '../telemetry.js'
import type { Transport } from '../transport.js'
import { type Pages, pages } from './pages.js'
import { router } from './router.js'

export async function startHttp(
  config: Config,
  dispatcher: Dispatcher,
  authorizer: Authorizer,
  telemetry: Telemetry,
  site: Pages,
): Promise<Transport> {
  const app: Express = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.use(identify, knownHost(config), sameOrigin)
  app.use(pages(site, authorizer, telemetry))
  app.use(router(Asktell, dispatcher, authorizer, config.maxMessageBytes))
  app.use((req) => {
    throw new AsktellError('ROUTE_NOT_FOUND', `there is no ${req.method} ${req.path}`)
  })
  app.use(refuse(telemetry))

  const server: Server = config.tls
    ? createSecureServer({ cert: readFileSync(config.tls.cert), key: readFileSync(config.tls.key) }, app)
    : createServer(app)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(config.httpPort, config.host, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
  return {
    port: (server.address() as AddressInfo).port,
    // /readyz asks the dispatcher.
    drain() {},
    close: (deadline) =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeIdleConnections()
        if (deadline.aborted) server.closeAllConnections()
        else deadline.addEventListener('abort', () => server.closeAllConnections(), { once: true })
      }),
  }
}

const identify: RequestHandler = (req, res, next) => {
  res.locals.requestId = requestId(req.get('x-request-id'))
  res.set('x-request-id', res.locals.requestId)
  res.set('x-content-type-options', 'nosniff')
  next()
}

const hostname = (host: string): string =>
  host
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase()

/** A page whose name was re-bound to loopback must not reach a server that trusts loopback (DNS rebinding). */
function knownHost(config: Config): RequestHandler {
  const own = isLoopback(config.host) ? ['localhost', '127.0.0.1', '::1', config.host] : undefined
  const allowed = own && new Set([...own, ...config.allowedHosts].map((host) => host.toLowerCase()))
  return (req, _res, next) => {
    const host = hostname(req.get('host') ?? '')
    if (allowed && !allowed.has(host))
      throw new AsktellError('PERMISSION_DENIED', `this server does not answer for host "${host}"; see allowedHosts`)
    next()
  }
}

/** No page of another site changes anything here, whatever content type its form sends. */
const sameOrigin: RequestHandler = (req, _res, next) => {
  const origin = req.get('origin')
  if (
    origin !== undefined &&
    req.method !== 'GET' &&
    req.method !== 'HEAD' &&
    URL.parse(origin)?.host !== req.get('host')
  )
    throw new AsktellError('PERMISSION_DENIED', `calls from pages of ${origin} are not taken`)
  next()
}

function refuse(telemetry: Telemetry): ErrorRequestHandler {
  return (thrown, req, res, _next) => {
    const error = asError(thrown)
    if (error.reason === 'INTERNAL')
      telemetry.log.error({ err: error.cause, path: req.path, requestId: res.locals.requestId }, 'request failed')
    // Too late for a status: only a connection that breaks tells the reader that the body is not whole.
    if (res.headersSent) return void res.destroy()
    const body = problem(error, res.locals.requestId)
    if (error.retryAfter !== undefined) res.set('retry-after', String(Math.ceil(error.retryAfter)))
    if (error.reason === 'UNAUTHENTICATED') res.set('www-authenticate', 'Bearer')
    // What else comes of a refused body is discarded, so that the connection can go on.
    req.resume()
    res.status(body.status).type('application/problem+json').send(JSON.stringify(body))
  }
}
