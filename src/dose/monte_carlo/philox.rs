//! Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw (SC 2011).
//!
//! The key is the seed and the counter is the history's number, so a history draws the same numbers
//! wherever and whenever it is computed.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// The bijection itself: 128 counter bits to 128 random bits under a 64-bit key.
fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let (mut c, mut k) = (counter, key);
    for _ in 0..ROUNDS {
        let p0 = u64::from(MULTIPLIERS[0]) * u64::from(c[0]);
        let p1 = u64::from(MULTIPLIERS[1]) * u64::from(c[2]);
        c = [
            (p1 >> 32) as u32 ^ c[1] ^ k[0],
            p1 as u32,
            (p0 >> 32) as u32 ^ c[3] ^ k[1],
            p0 as u32,
        ];
        k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
    }
    c
}

/// The stream of random numbers of one history.
#[derive(Debug, Clone)]
pub(super) struct Philox {
    key: [u32; 2],
    counter: [u32; 4],
    buffer: [u32; 8],
    used: usize,
}

impl Philox {
    pub fn new(seed: u64, history: u64) -> Self {
        Self {
            key: [seed as u32, (seed >> 32) as u32],
            counter: [0, 0, history as u32, (history >> 32) as u32],
            buffer: [0; 8],
            used: 8,
        }
    }

    #[inline]
    pub fn bits(&mut self) -> u32 {
        if self.used == self.buffer.len() {
            self.refill();
        }
        let bits = self.buffer[self.used & 7];
        self.used += 1;
        bits
    }

    /// Two blocks at once: the processor overlaps their rounds.
    fn refill(&mut self) {
        let (low, carry) = self.counter[0].overflowing_add(1);
        let second = [low, self.counter[1] + u32::from(carry), self.counter[2], self.counter[3]];
        let a = philox4x32_10(self.counter, self.key);
        let b = philox4x32_10(second, self.key);
        self.buffer = [a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]];
        let (next, carry) = low.overflowing_add(1);
        self.counter[0] = next;
        self.counter[1] = second[1] + u32::from(carry);
        self.used = 0;
    }

    /// Uniform in the open interval (0, 1), 32 bits.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        (f64::from(self.bits()) + 0.5) * (1.0 / 4_294_967_296.0)
    }

    /// Exponential with mean 1.
    #[inline]
    pub fn exponential(&mut self) -> f64 {
        f64::from(-(self.uniform() as f32).max(f32::MIN_POSITIVE).ln())
    }

    /// Cosine and sine of a uniform azimuth, by rejection in the unit disk.
    #[inline]
    pub fn azimuth(&mut self) -> (f64, f64) {
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let s = x * x + y * y;
            if s <= 1.0 {
                return ((x * x - y * y) / s, 2.0 * x * y / s);
            }
        }
    }

    /// A direction uniform on the sphere (Marsaglia 1972).
    #[inline]
    pub fn isotropic(&mut self) -> [f64; 3] {
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let s = x * x + y * y;
            if s < 1.0 {
                let r = 2.0 * (1.0 - s).sqrt();
                return [x * r, y * r, 1.0 - 2.0 * s];
            }
        }
    }
}

/// Turns `direction` by an angle of cosine `cosine` about a uniform azimuth.
#[inline]
pub(super) fn deflect(direction: [f64; 3], cosine: f64, rng: &mut Philox) -> [f64; 3] {
    let azimuth = rng.azimuth();
    turn(direction, cosine, azimuth)
}

/// Turns `direction` by an angle of cosine `cosine` at azimuth (cos φ, sin φ).
#[inline]
pub(super) fn turn([u, v, w]: [f64; 3], cosine: f64, (cos, sin): (f64, f64)) -> [f64; 3] {
    let sine = (1.0 - cosine * cosine).max(0.0).sqrt();
    let rho_squared = u * u + v * v;
    if rho_squared < 1e-12 {
        return [sine * cos, sine * sin, cosine * w.signum()];
    }
    let rho = rho_squared.sqrt();
    let scale = sine / rho;
    let turned = [
        u * cosine + scale * (u * w * cos - v * sin),
        v * cosine + scale * (v * w * cos + u * sin),
        w * cosine - sine * rho * cos,
    ];
    // First order of 1/|turned|: rounding must not add up over a long track.
    let norm = 1.5 - 0.5 * (turned[0].powi(2) + turned[1].powi(2) + turned[2].powi(2));
    turned.map(|c| c * norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the Random123 distribution (kat_vectors, philox4x32 10).
    #[test]
    fn known_answers_of_random123() {
        assert_eq!(
            philox4x32_10([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox4x32_10([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32_10(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn uniforms_fill_the_interval_evenly() {
        let mut rng = Philox::new(7, 3);
        let n = 100_000;
        let (mut sum, mut square) = (0.0, 0.0);
        for _ in 0..n {
            let u = rng.uniform();
            assert!(u > 0.0 && u < 1.0);
            sum += u;
            square += u * u;
        }
        assert!((sum / f64::from(n) - 0.5).abs() < 0.004);
        assert!((square / f64::from(n) - 1.0 / 3.0).abs() < 0.004);
    }

    #[test]
    fn turning_keeps_length_and_angle() {
        let mut rng = Philox::new(1, 1);
        let mut direction = [0.0, 0.0, -1.0];
        for _ in 0..1000 {
            let cosine = 2.0 * rng.uniform() - 1.0;
            let turned = deflect(direction, cosine, &mut rng);
            let dot: f64 = (0..3).map(|c| turned[c] * direction[c]).sum();
            assert!((dot - cosine).abs() < 1e-9, "{dot} {cosine}");
            direction = turned;
        }
        let length: f64 = direction.iter().map(|c| c * c).sum();
        assert!((length - 1.0).abs() < 1e-12);
    }
}
