import { create, createFileRegistry, fromBinary } from '@bufbuild/protobuf'
import { BinaryReader } from '@bufbuild/protobuf/wire'
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { credentials, makeGenericClientConstructor, type ServiceDefinition } from '@grpc/grpc-js'
import { service as healthService } from 'grpc-health-check'
import { describe, expect, it, vi } from 'vitest'
import { start } from './clients.js'

const HealthClient = makeGenericClientConstructor(healthService as ServiceDefinition, 'Health')
const health = (port: number) => new HealthClient(`127.0.0.1:${port}`, credentials.createInsecure())
const check = (client: InstanceType<typeof HealthClient>, service: string) =>
  new Promise((resolve) =>
    client.check({ service }, (error: { code: number } | null, answer: { status: string }) =>
      resolve(error ? error.code : answer.status),
    ),
  )

describe('health', () => {
  it('serves, as a whole and by the name of the service, and knows no other', async () => {
    const h = await start()
    const client = health(h.server.grpcPort)
    expect(await check(client, '')).toBe('SERVING')
    expect(await check(client, 'asktell.v1.Asktell')).toBe('SERVING')
    expect(await check(client, 'asktell.v2.Asktell')).toBe(5)
    client.close()
    h.grpc.client.close()
    await h.server.close()
  })

  it('tells who watches when it begins to drain', async () => {
    const h = await start()
    const client = health(h.server.grpcPort)
    const seen: string[] = []
    const watch = client.watch({ service: '' })
    const ended = new Promise((resolve) => watch.on('error', resolve))
    watch.on('data', ({ status }: { status: string }) => seen.push(status))
    await vi.waitFor(() => expect(seen).toEqual(['SERVING']))
    await h.server.close()
    expect(await ended).toMatchObject({ code: 14 })
    expect(seen).toEqual(['SERVING', 'NOT_SERVING'])
    client.close()
    h.grpc.client.close()
  })
})

it('reflection lists the service, and gives descriptors from which it can be called', async () => {
  const h = await start()
  for (const version of ['v1', 'v1alpha']) {
    const answer = async (tag: number, text: string) => {
      const call = h.grpc.client.makeBidiStreamRequest(
        `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
      )
      const got = new Promise<Buffer>((resolve, reject) => call.on('data', resolve).on('error', reject))
      call.write(Buffer.concat([Buffer.from([tag, text.length]), Buffer.from(text)]))
      const bytes = await got
      call.end()
      return bytes
    }
    // ServerReflectionRequest: list_services = 7, file_containing_symbol = 4.
    expect((await answer((7 << 3) | 2, '*')).toString('latin1')).toContain('asktell.v1.Asktell')
    const files = new Map<string, FileDescriptorProto>()
    const keep = (found: readonly FileDescriptorProto[]) => found.forEach((file) => void files.set(file.name, file))
    keep(filesIn(await answer((4 << 3) | 2, 'asktell.v1.Asktell')))
    // What did not come along is asked for by name: file_by_filename = 3.
    for (const { dependency } of files.values())
      for (const name of dependency) if (!files.has(name)) keep(filesIn(await answer((3 << 3) | 2, name)))
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: inOrder(files) }))
    const described = registry.getService('asktell.v1.Asktell')
    expect(described?.methods.map(({ name }) => name)).toEqual(expect.arrayContaining(['Ask', 'Tell', 'Optimize']))
  }
  h.grpc.client.close()
  await h.server.close()
})

/** ServerReflectionResponse: file_descriptor_response = 4, and in it file_descriptor_proto = 1. */
function filesIn(response: Uint8Array) {
  const within = (bytes: Uint8Array, field: number) => {
    const reader = new BinaryReader(bytes)
    const found: Uint8Array[] = []
    while (reader.pos < reader.len) {
      const [number, type] = reader.tag()
      if (number === field) found.push(reader.bytes())
      else reader.skip(type)
    }
    return found
  }
  return within(response, 4)
    .flatMap((part) => within(part, 1))
    .map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes))
}

/** What is imported before what imports it. */
function inOrder(files: ReadonlyMap<string, FileDescriptorProto>): FileDescriptorProto[] {
  const ordered = new Set<FileDescriptorProto>()
  const visit = (file: FileDescriptorProto | undefined) => {
    if (!file || ordered.has(file)) return
    for (const name of file.dependency) visit(files.get(name))
    ordered.add(file)
  }
  for (const file of files.values()) visit(file)
  return [...ordered]
}
