/** A digest of all that decides about the bytes of a module. The bundle has one; from source, code changes under a cache. */
export const BUILD: string | undefined = undefined
