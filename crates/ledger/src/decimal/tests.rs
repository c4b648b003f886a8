use proptest::prelude::*;

use super::scaled;
use tollgate_wire::card::femto_from_usd_text;

use crate::{MoneyError, Nano};

fn check(text: &str, scale: u32, expected: Result<i64, MoneyError>) {
    assert_eq!(scaled(text, scale), expected, "{text} × 10^{scale}");
}

#[test]
fn decimals_are_read_exactly() {
    check("0", 9, Ok(0));
    check("-0.000", 9, Ok(0));
    check("1", 9, Ok(1_000_000_000));
    check("0.1", 9, Ok(100_000_000));
    check(".5", 1, Ok(5));
    check("5.", 0, Ok(5));
    check("+12.5e1", 0, Ok(125));
    check("2.5e-06", 15, Ok(2_500_000_000));
    check("1.5E-7", 15, Ok(150_000_000));
    check("-0.5", 9, Ok(-500_000_000));
    check("000000000000000000000000000001", 0, Ok(1));
    check("0e999999999999999999999", 9, Ok(0));
    check("1e-999999999999999999999", 9, Ok(0));
    check("9223372036854775807", 0, Ok(i64::MAX));
    check("-9223372036854775808", 0, Ok(i64::MIN));
}

#[test]
fn halves_go_to_even() {
    for (text, expected) in
        [("0.5", 0), ("1.5", 2), ("2.5", 2), ("2.51", 3), ("2.500000001", 3), ("-1.5", -2)]
    {
        check(text, 0, Ok(expected));
    }
    check("0.05", 0, Ok(0));
    check("0.99", 0, Ok(1));
}

#[test]
fn what_is_no_decimal_is_refused() {
    for text in [
        "", " ", "-", ".", "e5", "1e", "1e+", "1e1.5", "NaN", "inf", "Infinity", "0x10", "1_000",
        "1,5", "--1", "1.2.3", "१",
    ] {
        check(text, 9, Err(MoneyError::NotANumber));
    }
    check(&"1".repeat(500), 0, Err(MoneyError::NotANumber));
}

#[test]
fn what_does_not_fit_is_refused() {
    for text in ["9223372036854775808", "-9223372036854775809", "1e19", "1e300", "1e99999"] {
        check(text, 0, Err(MoneyError::Overflow));
    }
    assert!(femto_from_usd_text("10000").is_err());
}

#[test]
fn a_rate_is_never_negative() {
    assert!(femto_from_usd_text("-1e-6").is_err());
    assert_eq!(femto_from_usd_text("2.5e-06"), Ok(2_500_000_000));
    assert_eq!(femto_from_usd_text("0.00000015"), Ok(150_000_000));
}

#[test]
fn amounts_are_shown_in_full_or_in_short() {
    for (nano, long, short) in [
        (0, "0.000000000", "0"),
        (12_500, "0.000012500", "0.0000125"),
        (1, "0.000000001", "0.000000001"),
        (100_000_000_000, "100.000000000", "100"),
        (-1_500_000_000, "-1.500000000", "-1.5"),
        (i64::MIN, "-9223372036.854775808", "-9223372036.854775808"),
    ] {
        assert_eq!(Nano(nano).to_string(), long);
        assert_eq!(Nano(nano).usd_text(), short);
    }
}

/// `mantissa` × 10^`shift`, by division and remainder instead of digits.
fn expected(mantissa: u64, shift: i32) -> i128 {
    let mantissa = i128::from(mantissa);
    if let Ok(up) = u32::try_from(shift) {
        return mantissa * 10_i128.pow(up);
    }
    let unit = 10_i128.pow(shift.unsigned_abs());
    let (quotient, rest) = (mantissa / unit, mantissa % unit);
    match (2 * rest).cmp(&unit) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Equal => quotient + quotient % 2,
        std::cmp::Ordering::Greater => quotient + 1,
    }
}

proptest! {
    #[test]
    fn femto_agrees_with_long_division(
        mantissa in prop_oneof![any::<u64>(), 0..1_000_000_u64, (0..10_000_u64).prop_map(|n| n * 5)],
        exponent in -30_i32..3,
        point in 0_usize..25,
    ) {
        let value = expected(mantissa, exponent + 15);
        let expected = i64::try_from(value).ok();
        prop_assert_eq!(femto_from_usd_text(&format!("{mantissa}e{exponent}")).ok(), expected);
        // The same with a point somewhere, and the exponent moved.
        let digits = format!("{mantissa:025}");
        let (whole, fraction) = digits.split_at(25 - point);
        let exponent = exponent + i32::try_from(point).unwrap_or_default();
        let text = format!("{whole}.{fraction}E{exponent:+03}");
        prop_assert_eq!(femto_from_usd_text(&text).ok(), expected);
    }

    #[test]
    fn amounts_survive_their_text(nano in any::<i64>()) {
        prop_assert_eq!(Nano::from_usd_text(&Nano(nano).to_string()), Ok(Nano(nano)));
        prop_assert_eq!(Nano::from_usd_text(&Nano(nano).usd_text()), Ok(Nano(nano)));
    }

    #[test]
    fn no_text_panics(text in "[-+.eE0-9]{0,40}|.{0,20}", scale in 0_u32..20) {
        let _ = scaled(&text, scale);
    }
}
