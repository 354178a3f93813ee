//! A logarithm for comparing tickets.

/// The natural logarithm of a positive finite number, to 1e-6, without a call.
///
/// With `x = m 2^e` and `s = (m - 1) / (m + 1)`: `ln m = 2 (s + s^3/3 + s^5/5 + ...)`.
pub fn quick_ln(x: f32) -> f32 {
    let bits = x.to_bits();
    // Moves the cut between two powers of two to sqrt(1/2), so that |s| stays under 0.172.
    let shifted = bits.wrapping_add(0x3f80_0000 - 0x3f35_04f3);
    let exponent = (shifted >> 23) as i32 - 127;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff) + 0x3f35_04f3);
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let s2 = s * s;
    let series = 2.0 + s2 * (2.0 / 3.0 + s2 * (2.0 / 5.0 + s2 * (2.0 / 7.0)));
    s * series + exponent as f32 * std::f32::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_logarithm_is_a_logarithm() {
        for x in [
            1.0e-3_f32, 0.5, 0.7, 0.71, 1.0, 1.4, 1.5, 2.0, 99.99, 7.0e5, 3.0e15,
        ] {
            let (exact, quick) = (x.ln(), quick_ln(x));
            assert!((quick - exact).abs() <= 2e-6 * exact.abs().max(1.0), "{x}");
        }
    }
}
