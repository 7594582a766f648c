//! Cells of the text protocol as JSON values; what is not plainly of its type is an error.

const SECONDS_A_DAY: u64 = 86_400;

pub(super) fn put_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.reserve(2 * bytes.len());
    for byte in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

pub(super) fn put_quoted(document: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    document.push(b'"');
    put(document);
    document.push(b'"');
}

pub(super) fn put_integer(cell: &str, document: &mut Vec<u8>) -> Result<(), &'static str> {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    if !all_digits(digits) {
        return Err("it is not an integer");
    }
    document.extend_from_slice(cell.as_bytes());
    Ok(())
}

pub(super) fn put_plain(cell: &str, further: &str, document: &mut Vec<u8>) -> Result<(), &'static str> {
    let is_plain =
        |letter: char| letter.is_ascii_digit() || "-.".contains(letter) || further.contains(letter);
    if cell.is_empty() || !cell.chars().all(is_plain) {
        return Err("it is not a number or time");
    }
    put_quoted(document, |document| document.extend_from_slice(cell.as_bytes()));
    Ok(())
}

/// A DATE or DATETIME. Dates that do not exist depend on the sql_mode, so they stay at home.
pub(super) fn put_date(cell: &str, document: &mut Vec<u8>) -> Result<(), &'static str> {
    let part = |from: usize, to: usize| -> Option<u32> {
        let digits = cell.get(from..to)?;
        all_digits(digits).then(|| digits.parse().ok())?
    };
    let (Some(year), Some(month), Some(day)) = (part(0, 4), part(5, 7), part(8, 10)) else {
        return Err("it is not a date");
    };
    if year == 0 || month == 0 || day == 0 {
        return Err("it is a zero date");
    }
    if day > days_of(year, month) {
        return Err("it is a date that does not exist");
    }
    put_plain(cell, ": ", document)
}

pub(super) fn days_of(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// Seconds since 1970 as a time of day with its offset, and the seconds themselves, for the check.
pub(super) fn put_timestamp(cell: &str, document: &mut Vec<u8>) -> Result<(), &'static str> {
    const WRONG: &str = "it is not a number of seconds";
    let (seconds, fraction) = cell.split_once('.').unwrap_or((cell, "0"));
    if !all_digits(seconds) || !all_digits(fraction) {
        return Err(WRONG);
    }
    let since: u64 = seconds.parse().map_err(|_| WRONG)?;
    if since == 0 {
        return Err("it is a zero timestamp");
    }
    let (year, month, day) = civil(since / SECONDS_A_DAY);
    let (hour, minute, second) = (since / 3600 % 24, since / 60 % 60, since % 60);
    let text = format!(
        "[\"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{fraction}+00:00\",\"{cell}\"]"
    );
    document.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Year, month and day of a day since 1970-01-01. Years start in March, so that the leap day is the last.
pub(super) fn civil(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

pub(super) fn enum_member<'m>(cell: &str, members: &'m [String]) -> Result<&'m str, &'static str> {
    let index: usize = cell.parse().map_err(|_| "it is not an index")?;
    let before = index.checked_sub(1).ok_or("it is the value of an invalid ENUM")?;
    members.get(before).map(String::as_str).ok_or("it is not one of the members")
}

pub(super) fn set_members(cell: &str, members: &[String]) -> Result<String, &'static str> {
    let bits: u64 = cell.parse().map_err(|_| "it is not a number of bits")?;
    let mut chosen = Vec::new();
    for at in 0..u64::BITS {
        if bits >> at & 1 == 0 {
            continue;
        }
        let member = usize::try_from(at).ok().and_then(|at| members.get(at));
        match member.ok_or("it is not one of the members")? {
            member if member.is_empty() => return Err("its empty member looks like no member"),
            member => chosen.push(member.as_str()),
        }
    }
    Ok(chosen.join(","))
}

pub(super) fn put_text(text: &str, document: &mut Vec<u8>) -> Result<(), &'static str> {
    put_quoted(document, |document| {
        for byte in text.bytes() {
            match byte {
                b'"' | b'\\' => document.extend_from_slice(&[b'\\', byte]),
                0..0x20 => {
                    document.extend_from_slice(b"\\u00");
                    put_hex(&[byte], document);
                }
                _ => document.push(byte),
            }
        }
    });
    Ok(())
}

pub(super) fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
