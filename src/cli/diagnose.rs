//! `mailgrant diagnose`: a server's error text in, a diagnosis out. It needs no console and no data directory.

use super::answer::{Answer, Failure, Outcome, one_line, print, print_json, say};
use crate::diagnosis::ways::{Scene, told_to_programs, who};
use crate::diagnosis::{Explanation, LONGEST, explain};
use std::io::{IsTerminal, Read};

/// Longest code on the command line, in characters. Whole replies may hold secrets, and others see what a command is started with.
const LONGEST_CODE: usize = 64;

/// Says what a code means, or else what comes on standard input; the answer is no where nobody knows.
pub fn run(code: &[String], json: bool) -> Outcome {
    let text = if code.is_empty() { read()? } else { typed(&code.join(" "))? };
    let mut found = explain(&text);
    if json {
        if found.is_known() {
            found.diagnosis.ways = told_to_programs(&found.diagnosis, &Scene::default());
        }
        print_json(&found)?;
    } else {
        show(&found)?;
    }
    Ok(if found.is_known() { Answer::Yes } else { Answer::No })
}

/// A code from the command line, if it is one.
fn typed(code: &str) -> Result<String, Failure> {
    let is_code = |c: char| c.is_ascii_alphanumeric() || " .:_-[]#=".contains(c);
    if code.trim().is_empty() || code.chars().count() > LONGEST_CODE || !code.chars().all(is_code) {
        return Err(Failure::wrong("only a code can stand here, such as AADSTS50011 or \"535 5.7.139\"")
            .help("give a whole text on standard input: mailgrant diagnose < error.txt"));
    }
    Ok(code.to_owned())
}

/// Standard input to its end.
fn read() -> Result<String, Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        say("Paste the error text, then press Enter and Ctrl-D.");
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    stdin
        .lock()
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::wrong(format!("can't read standard input: {error}")))?;
    text(bytes)
}

/// What came as text, or why it can't be one.
fn text(bytes: Vec<u8>) -> Result<String, Failure> {
    if bytes.len() > LONGEST {
        return Err(Failure::wrong(format!("the text is longer than {} KiB", LONGEST / 1024)).help("give the lines around the error only"));
    }
    let text = match bytes.as_slice() {
        // What Windows writes into files.
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // Logs in other encodings lose their accents and keep their codes.
        _ => String::from_utf8_lossy(&bytes).into_owned(),
    };
    let strange = text
        .chars()
        .filter(|c| c.is_control() && !c.is_whitespace() && *c != '\u{1b}')
        .count();
    let unread = text.chars().filter(|c| *c == '\u{fffd}').count();
    if text.contains('\0') || (strange + unread) * 10 > text.chars().count() {
        return Err(
            Failure::wrong("what came on standard input isn't text").help("give the error as text: a message, a log, or the page's source")
        );
    }
    if text.trim().is_empty() {
        return Err(Failure::wrong("nothing came on standard input")
            .help("for example: mailgrant diagnose < error.txt, or mailgrant diagnose AADSTS50011"));
    }
    Ok(text)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| unit([pair.first().copied().unwrap_or_default(), pair.last().copied().unwrap_or_default()]))
        .collect();
    String::from_utf16_lossy(&units)
}

fn show(found: &Explanation) -> Result<(), Failure> {
    let diagnosis = &found.diagnosis;
    print(format!("{} ({})", diagnosis.title, diagnosis.id))?;
    if !found.is_known() {
        print("Nothing in this text is known here.")?;
        print("help: give the whole error with its codes, as the server or the provider sent it")?;
        return Ok(());
    }
    if !found.recognised.is_empty() {
        print(format!("Recognised: {}", one_line(&found.recognised.join(", "))))?;
    }
    print("")?;
    print(&diagnosis.meaning)?;
    print("")?;
    print(format!("Who can fix it: {}", who(diagnosis.fix_where)))?;
    for (at, remedy) in diagnosis.remedy.iter().enumerate() {
        print(format!("  {}. {remedy}", at + 1))?;
    }
    if diagnosis.retryable {
        print("It may pass by itself: try again later.")?;
    }
    if let Some(grounds) = &diagnosis.grounds {
        print("")?;
        print(format!("How sure: {}; {}.", grounds.confidence, grounds.why.join("; ")))?;
        for also in &grounds.also {
            print(format!("It may also be: {}", also.title))?;
        }
    }
    if !diagnosis.url.is_empty() {
        print(format!("Source: {}", diagnosis.url))?;
    }
    Ok(())
}
