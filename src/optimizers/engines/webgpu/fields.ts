/** Random fields in WGSL: what fillField gives, a Philox block per thread, in f32. */
import type { Distribution } from '../../language/program.js'
import { KEYS_AT } from './layout.js'

const PHILOX = `
fn highProduct(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
}
fn philox(block: u32, site: u32) -> vec4<u32> {
  var c = vec4<u32>(block, 0u, site, 0u);
  var key = vec2<u32>(facts[${KEYS_AT}], facts[${KEYS_AT + 1}]);
  for (var round = 0; round < 10; round++) {
    let first = 0xd2511f53u;
    let second = 0xcd9e8d57u;
    c = vec4<u32>(
      highProduct(second, c.z) ^ c.y ^ key.x,
      second * c.z,
      highProduct(first, c.x) ^ c.w ^ key.y,
      first * c.x,
    );
    key += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
  }
  return c;
}
// -log((w + 1/2) / 2^32). Near 1 the distance to 1 has more bits.
fn minusLog(w: vec4<u32>) -> V {
  let rest = (V(~w) + 0.5) * 2.3283064365386963e-10;
  return -select(logarithm((V(w) + 0.5) * 2.3283064365386963e-10), logarithmOf(V(0), -rest), w >= U(0xc0000000u));
}
fn sineOfTurn(w: U) -> V {
  let quarters = (w + U(0x20000000u)) >> U(30u);
  let r = V(bitcast<I>(w - (quarters << U(30u)))) * 1.4629180792671596e-9;
  return turned(bitcast<I>(quarters), r);
}
fn normals(w: vec4<u32>) -> V {
  let radius = sqrt(2 * minusLog(w)).xxzz;
  // A cosine is the sine of a quarter turn more.
  return radius * sineOfTurn(w.yyww + U(0x40000000u, 0u, 0x40000000u, 0u));
}
`

/** The four elements of a block of a field, in a shader of vectors. */
const VARIATES: Readonly<Record<Distribution, string>> = {
  // 24 bits: exact, and below 1.
  uniform: 'V(w >> U(8u)) * 5.9604644775390625e-8',
  rademacher: 'select(V(1), V(-1), w >= U(0x80000000u))',
  exponential: 'minusLog(w)',
  normal: 'normals(w)',
}

/** Functions and loop body that fill element vectors of a field. */
export const fieldFunctions = PHILOX
export const fieldStore = (distribution: Distribution, site: number, place: string): string =>
  `let w = philox(i, ${site}u);\nmemory[${place} + i] = ${VARIATES[distribution]};`
