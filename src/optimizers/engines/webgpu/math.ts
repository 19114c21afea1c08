/**
 * Functions of the language in WGSL, for values of type V: f32, or vectors of four. WGSL's own exp, log and tanh may be
 * off by hundreds of units in the last place, its sin and cos by far more, and what it makes of NaN and infinity is left
 * to the device: these are within a few units and go by the bits. The logarithm follows fdlibm (Sun Microsystems, 1993).
 */

/** The value type of a shader. `I` and `U` are its integers, `B` its truth values. */
export const ALIASES = {
  one: 'alias V = f32; alias B = bool; alias I = i32; alias U = u32;',
  four: 'alias V = vec4<f32>; alias B = vec4<bool>; alias I = vec4<i32>; alias U = vec4<u32>;',
} as const
export type Width = keyof typeof ALIASES

/** The bits of infinity and NaN come first among the facts: constant expressions must be finite. */
export const FUNCTIONS = `
fn infinity() -> V { return V(bitcast<f32>(facts[0])); }
fn nan() -> V { return V(bitcast<f32>(facts[1])); }
fn isNan(x: V) -> B { return (bitcast<U>(x) & U(0x7fffffffu)) > U(0x7f800000u); }
fn isFinite(x: V) -> B { return (bitcast<U>(x) & U(0x7f800000u)) != U(0x7f800000u); }
fn lesser(a: V, b: V) -> V { return select(select(a, b, b < a), a + b, isNan(a) | isNan(b)); }
fn greater(a: V, b: V) -> V { return select(select(a, b, b > a), a + b, isNan(a) | isNan(b)); }
fn signOf(x: V) -> V { return select(select(x, V(1), x > V(0)), V(-1), x < V(0)); }
fn powerOfTwo(n: I) -> V { return bitcast<V>((n + I(127)) << U(23u)); }
// x 2^n, by the exponent: of a product of factors with constants, compilers multiply the constants first, which may overflow.
// What becomes too small is 0, what becomes too large stays finite; infinity and NaN stay what they are.
fn scaled(x: V, n: i32) -> V {
  let bits = bitcast<I>(x);
  let exponent = (bits >> U(23u)) & I(255);
  let moved = clamp(exponent + I(n), I(0), I(254));
  let value = select(bitcast<V>((bits & bitcast<I>(U(0x807fffffu))) | (moved << U(23u))), V(0), (moved == I(0)) | (exponent == I(0)));
  return select(value, x, exponent == I(255));
}

// x = n ln 2 + r, |r| <= ln(2) / 2; e^r - 1 by Taylor's series.
fn exponentParts(x: V) -> I { return I(round(x * 1.44269504)); }
fn minusOne(x: V, n: I) -> V {
  let r = (x - V(n) * 0.693359375) + V(n) * 2.12194440e-4;
  return r * (1 + r * (0.5 + r * (0.16666667 + r * (0.041666668 + r * (0.0083333338 + r * (0.0013888889 + r * 1.9841270e-4))))));
}
fn exponential(x: V) -> V {
  let bounded = clamp(x, V(-104), V(89));
  let n = exponentParts(bounded);
  // In two factors: 2^n itself may be out of range where the result is not.
  let half = n >> U(1u);
  let value = (1 + minusOne(bounded, n)) * powerOfTwo(half) * powerOfTwo(n - half);
  return select(select(value, infinity(), x > V(88.72284)), x, isNan(x));
}
fn hyperbolicTangent(x: V) -> V {
  let twice = 2 * min(abs(x), V(10));
  let n = exponentParts(twice);
  let small = minusOne(twice, n);
  let e = select((1 + small) * powerOfTwo(n) - 1, small, n == I(0));
  let size = e / (e + 2);
  return select(select(size, -size, x < V(0)), x, isNan(x) | (x == V(0)));
}

// log(2^k (1 + f))
fn logarithmOf(k: V, f: V) -> V {
  let s = f / (2 + f);
  let z = s * s;
  let rest = z * (0.66666666 + z * (0.40000972 + z * (0.28498787 + z * 0.24279079)));
  let half = 0.5 * f * f;
  return k * 0.693138123 - ((half - (s * (half + rest) + k * 9.05800061e-6)) - f);
}
fn logarithm(x: V) -> V {
  let tiny = x < V(1.17549435e-38);
  let bits = bitcast<U>(select(x, x * 33554432, tiny));
  // From sqrt(1/2) to sqrt(2).
  let shifted = bits + U(0x3f800000u - 0x3f3504f3u);
  let k = I(shifted >> U(23u)) - I(127) - select(I(0), I(25), tiny);
  let y = bitcast<V>((shifted & U(0x007fffffu)) + U(0x3f3504f3u));
  let finite = logarithmOf(V(k), y - 1);
  let bounded = select(x, finite, isFinite(x));
  return select(select(nan(), -infinity(), x == V(0)), bounded, x > V(0));
}

// Of r from -pi/4 to pi/4.
fn sineNear(r: V) -> V {
  let z = r * r;
  return r + r * z * (-0.16666667 + z * (0.0083333310 + z * (-1.9840874e-4 + z * 2.7525562e-6)));
}
fn cosineNear(r: V) -> V {
  let z = r * r;
  return 1 - 0.5 * z + z * z * (0.041666668 + z * (-0.0013888889 + z * (2.4801587e-5 - z * 2.7557319e-7)));
}
fn turned(quarters: I, r: V) -> V {
  let value = select(sineNear(r), cosineNear(r), (quarters & I(1)) == I(1));
  return select(value, -value, (quarters & I(2)) == I(2));
}
// Quarter turns are taken off in three parts, exactly for arguments up to some ten thousand.
fn angle(x: V) -> V {
  let n = round(x * 0.63661977);
  return ((x - n * 1.5703125) - n * 4.83751297e-4) - n * 7.54978942e-8;
}
fn sine(x: V) -> V { return select(nan(), turned(I(round(x * 0.63661977)), angle(x)), isFinite(x)); }
fn cosine(x: V) -> V { return select(nan(), turned(I(round(x * 0.63661977)) + I(1), angle(x)), isFinite(x)); }

fn power(a: V, b: V) -> V {
  let size = exponential(b * logarithm(abs(a)));
  let whole = b == floor(b);
  let odd = whole & (abs(b - 2 * floor(b * 0.5)) == V(1));
  let signed = select(select(size, nan(), !whole), -size, odd);
  return select(select(size, signed, a < V(0)), V(1), b == V(0));
}
`

/** Elementwise functions as WGSL of their arguments; truth values are of type B. */
export const ELEMENT_CODE = {
  '+': (a: string, b: string) => `${a} + ${b}`,
  '-': (a: string, b: string) => `${a} - ${b}`,
  '*': (a: string, b: string) => `${a} * ${b}`,
  '/': (a: string, b: string) => `${a} / ${b}`,
  '^': (a: string, b: string) => `power(${a}, ${b})`,
  negate: (a: string) => `-${a}`,
  abs: (a: string) => `abs(${a})`,
  sign: (a: string) => `signOf(${a})`,
  sqrt: (a: string) => `sqrt(${a})`,
  exp: (a: string) => `exponential(${a})`,
  log: (a: string) => `logarithm(${a})`,
  tanh: (a: string) => `hyperbolicTangent(${a})`,
  sin: (a: string) => `sine(${a})`,
  cos: (a: string) => `cosine(${a})`,
  floor: (a: string) => `floor(${a})`,
  ceil: (a: string) => `ceil(${a})`,
  round: (a: string) => `round(${a})`,
  min: (a: string, b: string) => `lesser(${a}, ${b})`,
  max: (a: string, b: string) => `greater(${a}, ${b})`,
  broadcast: (a: string) => a,
} as const

/** Functions that are true or false, of values. */
export const TRUTH_CODE = {
  '<': (a: string, b: string) => `${a} < ${b}`,
  '<=': (a: string, b: string) => `${a} <= ${b}`,
  '>': (a: string, b: string) => `${a} > ${b}`,
  '>=': (a: string, b: string) => `${a} >= ${b}`,
  '==': (a: string, b: string) => `${a} == ${b}`,
  '!=': (a: string, b: string) => `${a} != ${b}`,
  isfinite: (a: string) => `isFinite(${a})`,
} as const
