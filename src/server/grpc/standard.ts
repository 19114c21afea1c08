/** Health and reflection: packages that are loaded by the first call to them, since a server starts without. */
import { type DescFile, type DescService, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import type { HealthImplementation } from 'grpc-health-check'
import { GrpcJsServices, type Route } from './adapter.js'

const PATH = /^\/grpc\.(health|reflection)\./

export class StandardServices {
  private readonly services: GrpcJsServices
  private loading?: Promise<void>
  private health?: HealthImplementation
  private draining = false

  constructor(
    private readonly service: DescService,
    stopping: AbortSignal,
  ) {
    this.services = new GrpcJsServices(stopping)
  }

  /** The route of a path; undefined when it is none of health or reflection. */
  async route(path: string): Promise<Route | undefined> {
    if (!PATH.test(path)) return undefined
    this.loading ??= this.load()
    await this.loading
    return this.services.routes.get(path)
  }

  /** Health says from now on that nothing new is taken. */
  drain(): void {
    this.draining = true
    for (const name of this.names) this.health?.setStatus(name, this.status)
  }

  private get names() {
    return ['', this.service.typeName]
  }
  private get status() {
    return this.draining ? 'NOT_SERVING' : 'SERVING'
  }

  private async load(): Promise<void> {
    const [{ HealthImplementation }, { ReflectionService }] = await Promise.all([
      import('grpc-health-check'),
      import('@grpc/reflection'),
    ])
    this.health = new HealthImplementation(Object.fromEntries(this.names.map((name) => [name, this.status])))
    this.health.addToServer(this.services as never)
    const definition = { [this.service.typeName]: { fileDescriptorProtos: descriptors(this.service.file) } }
    new ReflectionService(definition as never, { services: [this.service.typeName] }).addToServer(
      this.services as never,
    )
  }
}

/** The descriptors that the code was generated from, and those that they import. */
function descriptors(file: DescFile): Buffer[] {
  const files = new Map<string, Buffer>()
  const add = (file: DescFile) => {
    if (files.has(file.name)) return
    files.set(file.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)))
    file.dependencies.forEach(add)
  }
  add(file)
  return [...files.values()]
}
