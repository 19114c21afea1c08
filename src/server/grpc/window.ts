/**
 * The flow-control window for uploads. grpc-js leaves it at HTTP/2's 64 KiB and ignores the option that would raise
 * it, so that an upload moves at most 64 KiB per round trip: 4 MB took 5 s at 50 ms of delay. The window is raised on
 * the HTTP/2 servers and sessions, which are private fields of grpc-js 1.14; when they move, start-up fails.
 */
import type { Http2Server, ServerHttp2Session, Settings } from 'node:http2'
import type { Server } from '@grpc/grpc-js'

type Internals = {
  commonServerOptions?: { settings?: Settings }
  http2Servers?: Map<Http2Server, unknown>
}

const moved = (what: string) => new Error(`grpc-js has no ${what} any more: the upload window cannot be raised`)

/** Per stream, as a setting that every client receives. Call before the server is bound. */
export function raiseStreamWindow(server: Server, bytes: number): void {
  const options = (server as unknown as Internals).commonServerOptions
  if (!options?.settings) throw moved('commonServerOptions.settings')
  options.settings.initialWindowSize = bytes
}

/** Per connection, as soon as one is made; `onSession` gets each. Call once the server is bound. */
export function raiseConnectionWindow(
  server: Server,
  bytes: number,
  onSession: (session: ServerHttp2Session) => void = () => {},
): void {
  const servers = (server as unknown as Internals).http2Servers
  if (!(servers instanceof Map) || servers.size === 0) throw moved('http2Servers')
  for (const http2Server of servers.keys())
    http2Server.on('session', (session: ServerHttp2Session) => {
      session.setLocalWindowSize(bytes)
      onSession(session)
    })
}
